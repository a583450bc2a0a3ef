"""WatchInstances over a real channel: at once, in order, resumable, ended with a reason."""

from __future__ import annotations

import asyncio

import grpc
import pytest

from later_core.local.hub import Hub
from later_core.rpc.v1 import later_pb2 as pb
from later_core.rpc.v1.later_pb2_grpc import InstanceServiceStub

pytestmark = pytest.mark.timeout(30)


async def create(served, id, **fields):
    request = pb.CreateInstanceRequest(task="echo", id=id, **fields)
    await served.instances.CreateInstance(request)


async def responses(call):
    while (response := await call.read()) is not grpc.aio.EOF:
        yield response


async def events_until(call, id):
    """Every event up to the first one of this instance, and the token behind it."""
    found = []
    async for response in responses(call):
        found += [(pb.EventType.Name(e.type)[11:], e.instance.id) for e in response.events]
        if any(event.instance.id == id for event in response.events):
            return found, response.resume_token
    raise AssertionError("the stream ended")


async def test_the_initial_metadata_comes_before_anything_happens(serve):
    async with serve() as served:
        call = served.instances.WatchInstances(pb.WatchInstancesRequest())
        await call.initial_metadata()
        first = await call.read()
        assert first.events == []
        assert first.resume_token


async def test_every_change_comes_in_order_and_a_token_resumes_behind_it(serve):
    async with serve() as served:
        call = served.instances.WatchInstances(pb.WatchInstancesRequest())
        await call.read()
        await create(served, "a")
        await create(served, "b")
        found, token = await events_until(call, "b")
        assert found == [("CREATED", "a"), ("CREATED", "b")]
        call.cancel()
        await served.instances.AbortInstance(pb.AbortInstanceRequest(id="a"))
        await create(served, "c")
        call = served.instances.WatchInstances(pb.WatchInstancesRequest(resume_token=token))
        found, _ = await events_until(call, "c")
        assert found == [("UPDATED", "a"), ("CREATED", "c")]


async def test_what_exists_comes_first_and_without_a_token(serve):
    async with serve() as served:
        await create(served, "a", labels={"k": "1"})
        await create(served, "b", labels={"k": "2"})
        request = pb.WatchInstancesRequest(
            include_existing=True, filter=pb.InstanceFilter(labels={"k": "1"})
        )
        call = served.instances.WatchInstances(request)
        first = await call.read()
        assert [(event.type, event.instance.id) for event in first.events] == [
            (pb.EVENT_TYPE_EXISTING, "a")
        ]
        assert first.resume_token == ""
        await create(served, "c", labels={"k": "2"})
        await create(served, "d", labels={"k": "1"})
        found, token = await events_until(call, "d")
        assert found == [("CREATED", "d")]
        assert token


async def test_an_unknown_token_is_refused(serve, refusal):
    async with serve() as served:
        call = served.instances.WatchInstances(pb.WatchInstancesRequest(resume_token="mine"))
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await anext(aiter(call))
        refused = refusal(raised.value)
        assert refused.info.reason == "RESUME_TOKEN_INVALID"
        assert list(refused.violations) == ["resume_token"]


async def test_a_subscriber_that_does_not_read_is_told_where_to_continue(serve, refusal):
    # Without these the transport would take in many megabytes on behalf of a client that sleeps.
    narrow = [("grpc.http2.bdp_probe", 0), ("grpc.http2.lookahead_bytes", 65_536)]
    async with (
        serve(hub=Hub(max_events=10)) as served,
        grpc.aio.insecure_channel(served.server.address, narrow) as channel,
    ):
        call = InstanceServiceStub(channel).WatchInstances(pb.WatchInstancesRequest())
        token = (await call.read()).resume_token
        total = 60
        for n in range(total):
            await create(served, f"i{n}", parameters=b"x" * 200_000)
        seen, tokens = [], [token]

        async def read_on():
            async for response in responses(call):
                seen.extend(event.instance.id for event in response.events)
                tokens.append(response.resume_token)

        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await read_on()
        token = tokens[-1]
        refused = refusal(raised.value)
        assert refused.code is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert refused.info.reason == "SUBSCRIBER_TOO_SLOW"
        assert refused.info.metadata["resume_token"] == token
        call = served.instances.WatchInstances(pb.WatchInstancesRequest(resume_token=token))
        found, _ = await events_until(call, f"i{total - 1}")
        assert seen + [id for _, id in found] == [f"i{n}" for n in range(total)]


async def test_a_subscriber_that_goes_away_is_forgotten(serve):
    async with serve() as served:
        call = served.instances.WatchInstances(pb.WatchInstancesRequest())
        await call.read()
        stats = await served.admin.GetStats(pb.GetStatsRequest())
        assert stats.subscribers == 1
        call.cancel()
        while (await served.admin.GetStats(pb.GetStatsRequest())).subscribers:
            pass


async def test_a_stopping_server_ends_watches_at_once_and_says_so(serve, refusal):
    async with asyncio.TaskGroup() as group, serve() as served:
        channel = grpc.aio.insecure_channel(served.server.address)
        call = InstanceServiceStub(channel).WatchInstances(pb.WatchInstancesRequest())
        await call.read()

        async def follow():
            with pytest.raises(grpc.aio.AioRpcError) as raised:
                [_ async for _ in responses(call)]
            refused = refusal(raised.value)
            assert refused.code is grpc.StatusCode.UNAVAILABLE
            assert refused.info.reason == "SERVER_STOPPING"
            await channel.close()

        group.create_task(follow())
