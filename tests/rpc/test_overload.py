"""A flood of creates on a real channel: some are taken, the others are told when to come again."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import grpc
import pytest

from later_core.client.client import Client
from later_core.client.errors import RpcError
from later_core.local.overload import Overload
from later_core.model.instance import Instance, NewInstance
from later_core.ports.clock import SystemClock
from later_core.ports.store import InsertResult
from later_core.rpc.v1 import later_pb2 as pb
from later_core.stores.memory import MemoryStore

CLOCK = SystemClock()
PATIENCE = 30


class GatedStore(MemoryStore):
    """Inserts wait until they may."""

    def __init__(self) -> None:
        super().__init__(clock=CLOCK)
        self.open = asyncio.Event()
        self.open.set()

    async def insert(self, instances: Sequence[Instance]) -> Sequence[InsertResult]:
        await self.open.wait()
        return await super().insert(instances)


async def settled(overload: Overload, *, refused: int) -> None:
    async with asyncio.timeout(PATIENCE):
        while overload.refused < refused:
            await CLOCK.sleep(0.01)


async def test_a_flood_is_refused_beyond_the_bound_and_everything_else_is_served(serve, refusal):
    store, overload = GatedStore(), Overload(most=50, most_bytes=50_000)
    async with serve(store, overload=overload) as served:
        await served.instances.CreateInstance(pb.CreateInstanceRequest(id="before", task="echo"))
        store.open.clear()
        calls = [
            served.instances.CreateInstance(
                pb.CreateInstanceRequest(id=f"id-{n}", task="echo", parameters=bytes(1000))
            )
            for n in range(300)
        ]
        await settled(overload, refused=250)
        assert overload.held == (50, 50_000)
        got = await served.instances.GetInstance(pb.GetInstanceRequest(id="before"))
        assert got.instance.id == "before"
        batch = pb.BatchCreateInstancesRequest(requests=[pb.CreateInstanceRequest(task="echo")])
        with pytest.raises(grpc.aio.AioRpcError):
            await served.instances.BatchCreateInstances(batch)
        store.open.set()
        taken, refused = [], []
        for call in calls:
            try:
                taken.append((await call).instance.id)
            except grpc.aio.AioRpcError as error:
                refused.append(refusal(error))
        assert (len(taken), len(refused)) == (50, 250)
        for one in refused:
            assert one.code is grpc.StatusCode.RESOURCE_EXHAUSTED
            assert one.info.reason == "SERVER_OVERLOADED"
            assert one.retry_info is not None
            assert one.retry_info.retry_delay.ToMilliseconds() >= 250
        page = await served.instances.ListInstances(pb.ListInstancesRequest(page_size=1000))
        assert {instance.id for instance in page.instances} == {"before", *taken}
        assert overload.held == (0, 0)


async def test_the_client_comes_again_when_it_is_told_to(serve):
    store, overload = GatedStore(), Overload(most=5)
    async with serve(store, overload=overload) as served:
        store.open.clear()
        async with Client(served.server.address) as client, asyncio.TaskGroup() as group:
            creates = [
                group.create_task(client.create(NewInstance(task="echo", id=f"id-{n}")))
                for n in range(20)
            ]
            await settled(overload, refused=15)
            store.open.set()
        assert [create.result().id for create in creates] == [f"id-{n}" for n in range(20)]


async def test_the_client_gives_up_at_its_deadline(serve):
    overload = Overload(most=1)
    overload.take(1, 0)
    async with (
        serve(overload=overload) as served,
        Client(served.server.address, deadline=timedelta(seconds=2)) as client,
    ):
        with pytest.raises(RpcError) as refused:
            await client.create(NewInstance(task="echo"))
    assert refused.value.reason == "SERVER_OVERLOADED"
    assert refused.value.retry_after == 0.25
    assert overload.refused >= 2


async def test_a_stream_waits_instead(serve):
    store, overload = GatedStore(), Overload(most=10)
    async with serve(store, overload=overload) as served:
        store.open.clear()

        async def batches():
            for batch in range(5):
                yield pb.StreamCreateInstancesRequest(
                    requests=[
                        pb.CreateInstanceRequest(task="echo", id=f"id-{batch}-{n}")
                        for n in range(9)
                    ]
                )

        call = served.instances.StreamCreateInstances(batches())
        async with asyncio.timeout(PATIENCE):
            while overload.held != (9, 0):
                await CLOCK.sleep(0.01)
            store.open.set()
            answers = [answer async for answer in call]
        assert [len(answer.ids) for answer in answers] == [9] * 5
        assert overload.refused == 0
        assert overload.held == (0, 0)
