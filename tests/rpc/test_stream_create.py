"""StreamCreateInstances: batches in, answers out in their order, a few at once, never more."""

from __future__ import annotations

import asyncio

import grpc
import pytest
from grpc_health.v1.health_pb2 import HealthCheckRequest
from grpc_health.v1.health_pb2_grpc import HealthStub

from later_core.errors import StoreUnavailable
from later_core.ports.clock import SystemClock
from later_core.rpc.v1 import later_pb2 as pb
from later_core.rpc.v1.later_pb2_grpc import InstanceServiceStub
from later_core.stores.memory import MemoryStore


class GatedStore(MemoryStore):
    """Holds every insert until the test lets it go; some of them fail."""

    def __init__(self):
        super().__init__(clock=SystemClock())
        self.gates = {}
        self.begun = asyncio.Queue()
        self.unavailable = set()

    async def insert(self, instances):
        name = instances[0].id
        gate = self.gates[name] = asyncio.Event()
        self.begun.put_nowait(name)
        await gate.wait()
        if name in self.unavailable:
            raise StoreUnavailable("cut")
        return await super().insert(instances)


def batch(*ids, task="echo"):
    return pb.StreamCreateInstancesRequest(
        requests=[pb.CreateInstanceRequest(task=task, id=id) for id in ids]
    )


async def test_answers_come_in_the_order_of_the_batches(serve):
    async with serve() as served:
        batches = [batch(f"{n}-a", f"{n}-b") for n in range(50)]
        answers = [answer async for answer in served.instances.StreamCreateInstances(iter(batches))]
        assert [list(answer.ids) for answer in answers] == [
            [request.id for request in batch.requests] for batch in batches
        ]
        assert not any(answer.failures for answer in answers)


async def test_no_batch_at_all_is_no_error(serve):
    async with serve() as served:
        assert [a async for a in served.instances.StreamCreateInstances(iter([]))] == []


async def test_a_wrong_request_is_a_failure_of_its_own(serve, refusal):
    async with serve() as served:
        request = batch("a", "b", "c")
        request.requests[1].task = "ehco"
        answer = await anext(aiter(served.instances.StreamCreateInstances(iter([request]))))
        assert list(answer.ids) == ["a", "", "c"]
        (failure,) = answer.failures
        assert failure.index == 1
        assert refusal(failure.error).info.reason == "TASK_NOT_FOUND"


async def test_four_batches_are_processed_at_once_and_the_fifth_waits(serve):
    store = GatedStore()
    async with serve(store) as served, asyncio.timeout(20):
        call = served.instances.StreamCreateInstances()
        for n in range(8):
            await call.write(batch(f"i{n}"))
        begun = {await store.begun.get() for _ in range(4)}
        assert begun == {"i0", "i1", "i2", "i3"}
        store.gates["i2"].set()
        store.gates["i0"].set()
        assert list((await call.read()).ids) == ["i0"]
        assert await store.begun.get() == "i4"
        # i2 is done, but i1 before it is not: no answer, so no further batch.
        assert store.begun.empty()
        for n in range(1, 8):
            while f"i{n}" not in store.gates:
                await store.begun.get()
            store.gates[f"i{n}"].set()
            assert list((await call.read()).ids) == [f"i{n}"]
        await call.done_writing()
        assert await call.read() is grpc.aio.EOF


async def test_a_batch_over_the_limit_ends_the_stream_behind_what_came_before_it(serve, refusal):
    store = GatedStore()
    async with serve(store) as served, asyncio.timeout(20):
        call = served.instances.StreamCreateInstances()
        await call.write(batch("first"))
        await call.write(batch(*(f"i{n}" for n in range(1001))))
        assert await store.begun.get() == "first"
        store.gates["first"].set()
        assert list((await call.read()).ids) == ["first"]
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await call.read()
        refused = refusal(raised.value)
        assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
        assert refused.violations == {"requests": "must hold at most 1000; it holds 1001"}


async def test_a_database_that_goes_away_ends_the_stream_as_unavailable(serve, refusal):
    store = GatedStore()
    store.unavailable = {"b"}
    async with serve(store) as served, asyncio.timeout(20):
        call = served.instances.StreamCreateInstances()
        for id in "abc":
            await call.write(batch(id))
            await store.begun.get()
        for id in "cba":
            store.gates[id].set()
        assert list((await call.read()).ids) == ["a"]
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await call.read()
        refused = refusal(raised.value)
        assert refused.code is grpc.StatusCode.UNAVAILABLE
        assert refused.info.reason == "STORE_UNAVAILABLE"


async def test_a_client_that_goes_away_leaves_nothing_behind(serve):
    store = GatedStore()
    async with serve(store) as served, asyncio.timeout(20):
        call = served.instances.StreamCreateInstances()
        await call.write(batch("a"))
        await store.begun.get()
        call.cancel()
        store.gates["a"].set()
        again = served.instances.StreamCreateInstances()
        await again.write(batch("b"))
        assert await store.begun.get() == "b"
        store.gates["b"].set()
        assert list((await again.read()).ids) == ["b"]
        await again.done_writing()


async def test_a_stopping_server_answers_what_it_has_begun_and_reads_no_more(serve, refusal):
    store = GatedStore()

    async def follow_to_the_end(call):
        assert (await call.read()).ids == ["a"]
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await call.read()
        assert refusal(raised.value).info.reason == "SERVER_STOPPING"
        await channel.close()

    async def let_go_once_it_stops(health):
        with pytest.raises(grpc.aio.AioRpcError):
            [_ async for _ in health]
        store.gates["a"].set()

    async with asyncio.timeout(20), asyncio.TaskGroup() as group, serve(store) as served:
        channel = grpc.aio.insecure_channel(served.server.address)
        call = InstanceServiceStub(channel).StreamCreateInstances()
        await call.write(batch("a"))
        await store.begun.get()
        health = HealthStub(channel).Watch(HealthCheckRequest())
        await anext(aiter(health))
        group.create_task(let_go_once_it_stops(health))
        group.create_task(follow_to_the_end(call))
