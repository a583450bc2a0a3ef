"""Large messages are counted while they are held, and a client that takes nothing is let go."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import grpc
import pytest

from later_core.errors import ServerOverloaded
from later_core.ports.clock import SystemClock
from later_core.rpc import messages
from later_core.rpc.messages import HeldMessages, Large, Requests
from later_core.rpc.v1 import later_pb2 as pb

CLOCK = SystemClock()
MEBIBYTE = 2**20
SECONDS = 30


class Call:
    """As much of a call's context as is needed: that it ends."""

    def __init__(self):
        self.ends = []

    def add_done_callback(self, callback):
        self.ends.append(callback)

    def end(self):
        for callback in self.ends:
            callback(self)


def test_a_message_is_held_until_its_call_is_over_and_no_more_than_there_is_room_for():
    held, first, second = HeldMessages(100), Call(), Call()
    held.take(60, first)
    with pytest.raises(ServerOverloaded):
        held.take(60, second)
    assert held.size == 60
    first.end()
    held.take(60, second)
    assert held.size == 60


def test_one_alone_is_held_whatever_its_size():
    held = HeldMessages(100)
    held.take(1000, Call())
    with pytest.raises(ServerOverloaded):
        held.take(1, Call())


async def test_streams_wait_for_room_and_go_on_one_after_the_other():
    held, through = HeldMessages(100), []
    stream = Requests(held)
    assert stream.read(Large(pb.GetInstanceRequest(id="x"), 120)).id == "x"
    stream.read(pb.GetInstanceRequest())

    async def go_on(number):
        other = Requests(held)
        await other.room()
        through.append(number)
        other.read(Large(pb.GetInstanceRequest(), 100))

    async with asyncio.TaskGroup() as group:
        waiting = [group.create_task(go_on(number)) for number in range(3)]
        await CLOCK.sleep(0)
        stream.answered()
        async with asyncio.timeout(SECONDS):
            await waiting[0]
        assert (through, held.size) == ([0], 100)
        for task in waiting[1:]:
            held.give_back(100)
            async with asyncio.timeout(SECONDS):
                await task
        assert through == [0, 1, 2]
    stream.answered()
    held.give_back(100)
    assert held.size == 0


async def test_a_stream_that_ends_holds_nothing_any_longer():
    held = HeldMessages(100)
    stream = Requests(held)
    for _ in range(3):
        stream.read(Large(pb.GetInstanceRequest(), 20))
    stream.answered()
    stream.end()
    assert held.size == 0


async def test_answers_beyond_the_bound_are_refused_and_given_once_there_is_room(
    serve, refusal, monkeypatch
):
    monkeypatch.setattr(messages.HeldMessages.__init__, "__defaults__", (3 * MEBIBYTE,))
    async with serve() as served:
        await served.instances.CreateInstance(
            pb.CreateInstanceRequest(id="large", task="echo", parameters=bytes(MEBIBYTE))
        )
        asked = pb.GetInstanceRequest(id="large")
        calls = [served.instances.GetInstance(asked) for _ in range(40)]
        refusals = []
        for call in calls:
            try:
                await call
            except grpc.aio.AioRpcError as error:
                refusals.append(refusal(error).info.reason)
        assert set(refusals) <= {"SERVER_OVERLOADED"}
        assert len(refusals) < len(calls)
        async with asyncio.timeout(SECONDS):
            while True:  # all that was held has been given back: it is answered again
                try:
                    answer = await served.instances.GetInstance(asked)
                except grpc.aio.AioRpcError:
                    continue
                assert len(answer.instance.parameters) == MEBIBYTE
                return


async def test_a_stream_whose_client_takes_nothing_is_ended(serve, refusal, monkeypatch):
    monkeypatch.setattr(messages, "STALLED_SECONDS", 0.2)
    async with serve() as served:
        for number in range(8):
            request = pb.CreateInstanceRequest(
                id=f"id-{number}", task="echo", parameters=bytes(MEBIBYTE)
            )
            request.delay.FromTimedelta(timedelta(days=1))
            await served.instances.CreateInstance(request)
        watch = served.instances.WatchInstances(pb.WatchInstancesRequest(include_existing=True))
        await watch.initial_metadata()
        await CLOCK.sleep(1)  # what is tested is that it does nothing for so long
        with pytest.raises(grpc.aio.AioRpcError) as ended:
            async for _ in watch:
                pass
        assert refusal(ended.value).info.reason == "CLIENT_STALLED"
