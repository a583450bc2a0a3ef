"""Create an instance and wait for its result, a minute at most."""

import asyncio
from datetime import timedelta

from later_core.client import Client
from later_core.model.instance import NewInstance


async def main() -> None:
    async with Client.from_environment() as client:
        created = await client.create(
            NewInstance(task="echo", parameters=b'{"message": "good morning"}')
        )
        ended = await client.wait(created.id, timeout=timedelta(minutes=1))
        print(ended.state, ended.result.decode())


if __name__ == "__main__":
    asyncio.run(main())
