"""Create an instance, and follow it to its end."""

import asyncio
from contextlib import aclosing
from datetime import timedelta

from later_core.client import Client
from later_core.model.instance import NewInstance
from later_core.model.query import Filter


async def main() -> None:
    request = NewInstance(
        task="echo",
        parameters=b'{"message": "good morning"}',
        delay=timedelta(seconds=1),
        labels={"order": "7"},
    )
    async with (
        Client.from_environment() as client,
        aclosing(client.watch(Filter(labels={"order": "7"}))) as batches,
    ):
        # The first batch says that the watch has begun: nothing created from here on is missed.
        await anext(batches)
        await client.create(request)
        async for batch in batches:
            for event in batch.events:
                if event.instance is not None:
                    print(event.type, event.instance.state, event.instance.result.decode())
                    if event.instance.state.is_final:
                        return


if __name__ == "__main__":
    asyncio.run(main())
