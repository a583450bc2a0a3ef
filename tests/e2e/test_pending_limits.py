"""Limits of what is PENDING, on real servers and a real MongoDB: the index they count by, and two nodes."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any

import pytest
from pymongo import MongoClient

from later_core.client.client import Client
from later_core.client.errors import RpcError
from later_core.model.instance import Instance, NewInstance
from later_core.model.query import Filter
from later_core.model.state import State
from later_core.ports.clock import SystemClock
from later_core.stores.mongo.pending import PENDING_INDEX

CLOCK = SystemClock()
SECRET = "0123456789abcdef" * 3
LIMIT = 20


def settings(uri: str, database: str, limit: int) -> dict[str, str]:
    return {
        "mongodb_uri": uri,
        "database": database,
        "lease": "2s",
        "auth": "token",
        "admin_token": SECRET,
        "pending_limits": f"admin-token={limit}",
    }


async def let_in(client: Client, count: int) -> Sequence[Instance]:
    """Ask for so many; those that were let in. The others must have been told why."""
    answers = await client.create_batch(
        [NewInstance(task="echo", delay=timedelta(hours=1))] * count
    )
    refused = [answer for answer in answers if isinstance(answer, RpcError)]
    assert {error.reason for error in refused} <= {"PENDING_LIMIT_REACHED"}
    return [answer for answer in answers if isinstance(answer, Instance)]


async def let_in_at_last(client: Client, count: int) -> None:
    """Return once so many more were let in, one by one."""
    async with asyncio.timeout(30):
        while count:
            count -= len(await let_in(client, 1))
            await CLOCK.sleep(0.05)


async def all_pending(client: Client) -> list[str]:
    pending = Filter(states=frozenset({State.PENDING}))
    return [instance.id async for instance in client.list(pending, page_size=1000)]


async def test_the_index_that_was_dropped_is_made_again_at_a_start_and_by_a_count(
    serve: Any, mongodb_uri: str, database: str
) -> None:
    server = await serve(**settings(mongodb_uri, database, 3))
    async with AsyncExitStack() as stack:
        mongo = stack.enter_context(MongoClient[dict[str, Any]](mongodb_uri))
        client = await stack.enter_async_context(Client(server.address, token=SECRET))
        instances = mongo[database].instances
        stored = await let_in(client, 2)
        assert len(stored) == 2
        await server.stop()
        instances.drop_index(PENDING_INDEX)
        await server.start()
        assert PENDING_INDEX in instances.index_information()
        # What was stored before is counted.
        assert len(await let_in(client, 3)) == 1

        instances.drop_index(PENDING_INDEX)
        await client.abort(stored[0].id)
        await let_in_at_last(client, 1)
        assert PENDING_INDEX in instances.index_information()
        assert not await let_in(client, 1)


@pytest.fixture
async def clients(
    serve: Any, mongodb_uri: str, database: str
) -> AsyncIterator[tuple[Client, Client]]:
    """Of two nodes that know of each other."""
    async with AsyncExitStack() as stack, asyncio.TaskGroup() as group:
        same = settings(mongodb_uri, database, LIMIT)
        starting = [group.create_task(serve(**same)) for _ in range(2)]
        found = []
        for server in [await start for start in starting]:
            async with asyncio.timeout(30):
                while not re.search("membership changed.*nodes=2", server.log):
                    await CLOCK.sleep(0.05)
            found.append(await stack.enter_async_context(Client(server.address, token=SECRET)))
        first, second = found
        yield first, second


async def test_two_nodes_keep_one_limit_and_never_let_in_twice_as_many(
    clients: tuple[Client, Client],
) -> None:
    async def flood(client: Client) -> None:
        async with asyncio.timeout(30):
            while await let_in(client, 8):
                pass

    a, b = clients
    async with asyncio.TaskGroup() as group:
        for client in clients:
            group.create_task(flood(client))
    stored = await all_pending(a)
    assert LIMIT <= len(stored) < 2 * LIMIT

    # One after the other they let in exactly as many, and each sees what the other did.
    for id in stored:
        await b.abort(id)
    await let_in_at_last(a, LIMIT)
    assert not await let_in(b, 5)
    for id in (await all_pending(a))[:4]:
        await b.abort(id)
    await let_in_at_last(a, 4)
    assert not await let_in(b, 1)
    assert len(await all_pending(b)) == LIMIT
