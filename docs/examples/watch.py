"""Follow every change, through restarts of the server."""

import asyncio
from contextlib import aclosing
from datetime import timedelta

from later_core.client import Client, RpcError
from later_core.model.event import EventType


def say(error: RpcError, pause: timedelta) -> None:
    print(f"broken, again in {pause.total_seconds()} s", flush=True)


async def main() -> None:
    async with (
        Client.from_environment() as client,
        aclosing(client.watch(on_break=say)) as batches,
    ):
        async for batch in batches:
            if not batch.events:
                print("watching", flush=True)
            for event in batch.events:
                if event.type is EventType.RESYNC:
                    print("changes were missed: read anew what you know", flush=True)
                elif event.instance is not None:
                    print(event.instance.id, event.instance.state, flush=True)


if __name__ == "__main__":
    asyncio.run(main())
