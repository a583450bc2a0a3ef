"""Create ten thousand instances, from a generator that holds one at a time."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta

from later_core.client import Client, RpcError
from later_core.model.instance import NewInstance


def requests() -> Iterator[NewInstance]:
    for number in range(10_000):
        yield NewInstance(task="echo", id=f"order-{number}", delay=timedelta(hours=1))


async def main() -> None:
    async with Client.from_environment() as client:
        answers = await client.create_many(requests())
    failed = [answer for answer in answers if isinstance(answer, RpcError)]
    print(f"{len(answers) - len(failed)} created, {len(failed)} failed")


if __name__ == "__main__":
    asyncio.run(main())
