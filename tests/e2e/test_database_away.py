"""The database goes away and comes back; the server waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from later_core.client.client import Client
from later_core.client.errors import RpcError
from later_core.model.instance import NewInstance
from later_core.model.state import State
from later_core.ports.clock import SystemClock

CLOCK = SystemClock()


@pytest.fixture
async def server(serve: Any, own_mongod: Any) -> Any:
    return await serve(mongodb_uri=own_mongod.uri, lease="2s", grace="2s")


@pytest.fixture
async def client(server: Any) -> AsyncIterator[Client]:
    # Longer than the server itself tries when the database goes away in the middle of a call.
    async with Client(server.address, deadline=timedelta(seconds=20)) as client:
        yield client


async def test_nothing_acknowledged_is_lost_and_it_comes_back_by_itself(
    server: Any, client: Client, own_mongod: Any, ledger: Any
) -> None:
    await client.create(NewInstance(id="before", task="echo"))
    soon = [
        NewInstance(id=f"soon-{n}", task="echo", delay=timedelta(seconds=1, milliseconds=50 * n))
        for n in range(100)
    ]
    acknowledged = {instance.id for instance in await ledger.create(client, soon)}
    refusals: list[RpcError] = []

    async def create_until_refused() -> None:
        number = 0
        while not refusals:
            try:
                instance = await client.create(NewInstance(id=f"race-{number}", task="echo"))
                acknowledged.add(instance.id)
            except RpcError as error:
                refusals.append(error)
            number += 1

    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        group.create_task(create_until_refused())
        # A few are through, and some of ``soon`` have run, when it goes.
        while len(acknowledged) < 110:
            await CLOCK.sleep(0.01)
        await asyncio.to_thread(own_mongod.stop)

    assert refusals[0].code == "UNAVAILABLE"
    await server.until_health(is_serving=False)
    async with asyncio.timeout(8):
        with pytest.raises(RpcError) as refused:
            await client.create(NewInstance(id="while-away", task="echo"))
    assert (refused.value.code, refused.value.reason) == ("UNAVAILABLE", "STORE_UNAVAILABLE")

    await asyncio.to_thread(own_mongod.start)
    await server.until_health(is_serving=True)

    await client.create(NewInstance(id="after", task="echo"))
    found = await ledger.until_ended(client)
    assert acknowledged | {"before", "after"} <= found.keys()
    assert {instance.state for instance in found.values()} == {State.SUCCEEDED}


async def test_a_database_killed_with_kill_9_loses_nothing_either(
    server: Any, client: Client, own_mongod: Any, ledger: Any
) -> None:
    requests = [
        NewInstance(id=f"soon-{n}", task="echo", delay=timedelta(milliseconds=20 * n))
        for n in range(100)
    ]
    created = await ledger.create(client, requests)
    await ledger.until_states(client, lambda counts: counts[State.SUCCEEDED] >= 20)
    await asyncio.to_thread(own_mongod.kill)
    await server.until_health(is_serving=False)
    await asyncio.to_thread(own_mongod.start)
    await server.until_health(is_serving=True)
    found = await ledger.until_ended(client)
    assert found.keys() == {instance.id for instance in created}
    assert {instance.state for instance in found.values()} == {State.SUCCEEDED}
