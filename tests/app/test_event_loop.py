"""The loop of a node waits as long as it was asked to, finer than epoll counts, and wakes for news."""

import asyncio
import select
import socket
import time

from later_core.app import event_loop
from later_core.app.event_loop import PreciseSelector, new_event_loop
from later_core.ports.turns import TurningLoop, first_in_each_turn, turn


async def sleep_late(seconds: float) -> float:
    """How much longer than asked a sleep took, in seconds."""
    began = time.perf_counter()
    await asyncio.sleep(seconds)  # noqa: TID251 - the timer itself is looked at
    return time.perf_counter() - began - seconds


def test_a_wait_is_not_rounded_to_whole_milliseconds(monkeypatch):
    asked = []
    real = select.select

    def noting(*arguments):
        asked.append(arguments[-1])
        return real(*arguments)

    monkeypatch.setattr(select, "select", noting)
    with PreciseSelector() as selector:
        assert selector.select(0.0012) == []
    assert asked == [0.0012]


def test_a_timer_never_fires_early():
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        assert min(runner.run(sleep_late(0.0007)) for _ in range(50)) >= 0


def test_news_on_a_socket_end_a_wait():
    async def answer() -> bytes:
        loop = asyncio.get_running_loop()
        mine, theirs = socket.socketpair()
        with mine, theirs:
            mine.setblocking(False)
            loop.call_later(0.05, theirs.send, b"news")
            async with asyncio.timeout(60):
                return await loop.sock_recv(mine, 16)

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        assert runner.run(answer()) == b"news"


def test_with_too_many_descriptors_it_waits_as_epoll_does(monkeypatch):
    monkeypatch.setattr(event_loop, "_DESCRIPTORS", 0)
    monkeypatch.delattr(select, "select")
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        assert runner.run(sleep_late(0.0012)) >= 0


def test_each_turn_begins_with_what_comes_first_in_it():
    order = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, TurningLoop)
        mine, theirs = socket.socketpair()
        with mine, theirs:
            mine.setblocking(False)
            loop.add_reader(mine, lambda: (mine.recv(16), order.append("what has come in")))
            theirs.send(b"news")
            loop.call_soon(order.append, "what was ready")
            with first_in_each_turn(lambda: loop.call_soon(order.append, "what is due")):
                await turn()
                await turn()
            loop.remove_reader(mine)

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(main())
    assert order[:3] == ["what was ready", "what is due", "what has come in"]


def test_the_end_of_a_wait_is_the_beginning_of_a_turn():
    order = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        over, due = asyncio.Event(), loop.time() + 0.002

        def begin() -> None:
            if loop.time() >= due:
                order.append("turn")

        loop.call_at(due, lambda: (order.append("timer"), over.set()))
        with first_in_each_turn(begin):
            await over.wait()

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(main())
    assert order[:2] == ["turn", "timer"]


def test_what_fails_at_the_beginning_of_a_turn_is_told_and_ends_nothing():
    told = []

    async def main() -> str:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
        with first_in_each_turn([].pop):
            await turn()
        return "went on"

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        assert runner.run(main()) == "went on"
    assert isinstance(told[0]["exception"], IndexError)
