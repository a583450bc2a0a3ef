"""How the clients are used: ``tox -e type`` proves that none of this is refused."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import timedelta

from later_core.client import Client, RpcError, SyncClient
from later_core.model.event import EventBatch
from later_core.model.instance import Instance, NewInstance
from later_core.model.state import State


async def asynchronous(requests: AsyncIterator[NewInstance]) -> None:
    async with Client.from_environment() as client:
        created: Instance = await client.create(
            NewInstance(task="echo", delay=timedelta(seconds=1))
        )
        answers: Sequence[str | RpcError] = await client.create_many(requests)
        listed: list[Instance] = [each async for each in client.list(page_size=10)]
        batches: AsyncIterator[EventBatch] = client.watch(resume_token="x")
        aborted: tuple[Instance, State] = await client.abort(created.id)
        ended: Instance = await client.wait(created.id, timeout=timedelta(minutes=1))
        print(answers, listed, batches, aborted, ended)


def synchronous(requests: Iterator[NewInstance]) -> None:
    with SyncClient("127.0.0.1:9081") as client:
        created: Instance = client.create(NewInstance(task="echo"))
        answers: Sequence[str | RpcError] = client.create_many(requests)
        listed: list[Instance] = list(client.list())
        batches: Iterator[EventBatch] = client.watch(include_existing=True)
        aborted: tuple[Instance, State] = client.abort(created.id)
        ended: Instance = client.wait(created.id)
        print(answers, listed, batches, aborted, ended)
