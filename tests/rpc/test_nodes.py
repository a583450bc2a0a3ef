"""ListNodes and DrainNode over a real channel."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import grpc
import pytest

from later_core.ports.clock import SystemClock
from later_core.rpc.v1 import later_pb2 as pb
from later_core.stores.memory import MemoryStore
from later_core.testing.builders import a_node

LEASE = timedelta(seconds=30)


@pytest.fixture
def store():
    return MemoryStore(clock=SystemClock())


async def test_every_node_is_listed_with_what_it_said_of_itself(serve, store):
    node = replace(
        a_node("b", tasks=("bash", "echo")), address="host:1", version="9", window_size=5, running=2
    )
    await store.beat(node, lease=LEASE)
    await store.beat(a_node("a"), lease=LEASE)
    async with serve(store) as served:
        first, second = (await served.admin.ListNodes(pb.ListNodesRequest())).nodes
    assert first.id == "a"
    assert (second.id, second.address, second.version) == ("b", "host:1", "9")
    assert (list(second.tasks), second.window_size, second.running) == (["bash", "echo"], 5, 2)
    assert second.started_at.ToDatetime() == node.started_at.replace(tzinfo=None)
    assert second.beat_time.seconds > 1_700_000_000
    assert second.is_alive
    said = {second.is_asked_to_drain, second.is_draining, second.is_drained}
    assert said == {False}
    assert first.buckets + second.buckets == 256
    assert min(first.buckets, second.buckets) > 64


async def test_who_drains_or_is_dead_has_no_buckets(serve, store):
    await store.beat(a_node("alive"), lease=LEASE)
    await store.beat(replace(a_node("draining"), is_draining=True), lease=LEASE)
    await store.beat(a_node("dead"), lease=timedelta())
    await store.recover(limit=1)
    async with serve(store) as served:
        nodes = {n.id: n for n in (await served.admin.ListNodes(pb.ListNodesRequest())).nodes}
    assert {id: node.buckets for id, node in nodes.items()} == {
        "alive": 256,
        "draining": 0,
        "dead": 0,
    }
    assert nodes["draining"].is_draining
    assert not nodes["dead"].is_alive


async def test_a_node_can_be_asked_to_drain_again_and_again(serve, store):
    await store.beat(a_node("a"), lease=LEASE)
    async with serve(store) as served:
        for _ in range(2):
            answer = await served.admin.DrainNode(pb.DrainNodeRequest(id="a"))
            assert (answer.node.id, answer.node.is_asked_to_drain) == ("a", True)
            assert not answer.node.is_draining
            assert answer.node.buckets == 256, "until the node has heard of it"


async def test_who_does_not_live_cannot_drain(serve, store, refusal):
    await store.beat(a_node("dead"), lease=timedelta())
    await store.recover(limit=1)
    async with serve(store) as served:
        for id in ("nobody", "dead"):
            with pytest.raises(grpc.aio.AioRpcError) as raised:
                await served.admin.DrainNode(pb.DrainNodeRequest(id=id))
            refused = refusal(raised.value)
            assert refused.code is grpc.StatusCode.NOT_FOUND
            assert refused.info.reason == "NODE_NOT_FOUND"
            assert refused.info.metadata == {"node": id}
