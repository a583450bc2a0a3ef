"""An abort through one node of what another one runs, at every moment of the run: called back once."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from later_core.model.retry import RetryPolicy
from later_core.model.state import State
from later_core.stores.memory import MemoryStore
from later_core.testing.clock import FakeClock
from later_core.testing.tasks import RecordingTask


class HeldStore(MemoryStore):
    """The reference store; a test may hold back answers to ``finish``, writes of it, and the feed."""

    def __init__(self, *, clock):
        super().__init__(clock=clock)
        self.may_finish = self._open()
        self.may_answer = self._open()
        self.may_tell = self._open()

    def _open(self):
        event = asyncio.Event()
        event.set()
        return event

    async def finish(self, endings):
        await self.may_finish.wait()
        accepted = await super().finish(endings)
        await self.may_answer.wait()
        return accepted

    async def follow(self, position):
        async for batch in super().follow(position):
            await self.may_tell.wait()
            yield batch


@pytest.fixture
def two(running):
    class Two:
        """Two nodes on one store: the task of each keeps its own calls."""

        def __init__(self, body):
            self.clock = FakeClock()
            self.store = HeldStore(clock=self.clock)
            self.stack = AsyncExitStack()
            self.tasks = [RecordingTask(body), RecordingTask(body)]

        async def __aenter__(self):
            await self.stack.__aenter__()
            self.nodes = [
                await self.stack.enter_async_context(
                    running(task, store=self.store, clock=self.clock)
                )
                for task in self.tasks
            ]
            await self.clock.advance(3)
            return self

        async def __aexit__(self, *failure):
            await self.stack.__aexit__(*failure)

        async def begin(self, **fields):
            """Create one and return once it runs: its node, and the other."""
            await self.nodes[0].create("a", **fields)
            await self.clock.advance(0.1)
            ran = [bool(task.called("run")) for task in self.tasks]
            return self.nodes[ran.index(True)], self.nodes[ran.index(False)]

        def called(self, what):
            return [id for task in self.tasks for id in task.called(what)]

    return Two


async def fail(_context):
    raise ValueError


async def succeed(_context):
    return b""


async def test_an_abort_between_an_attempts_end_and_its_answer_is_called_back_once(two):
    """The end was written and left a retry pending: it is the pending one that is aborted."""
    async with two(fail) as cluster:
        cluster.store.may_answer.clear()
        _, other = await cluster.begin(retry=RetryPolicy(max_attempts=3))
        aborted = await other.parts.instances.abort("a")
        assert aborted.before.state is State.PENDING
        await cluster.clock.advance(2)
        cluster.store.may_answer.set()
        await cluster.clock.advance(5)
        assert cluster.called("on_abort") == ["a"]
        assert cluster.called("run") == ["a"]


async def test_an_abort_that_the_feed_tells_only_after_the_run_is_called_back_once(two):
    async with two(succeed) as cluster:
        cluster.store.may_finish.clear()
        _, other = await cluster.begin()
        cluster.store.may_tell.clear()
        aborted = await other.parts.instances.abort("a")
        assert aborted.before.state is State.RUNNING
        cluster.store.may_finish.set()
        await cluster.clock.advance(2)
        assert cluster.called("on_abort") == ["a"]
        # While other claims are under way, too.
        cluster.store.may_tell.set()
        for number in range(20):
            await other.create(f"b{number}")
        await cluster.clock.advance(5)
        assert cluster.called("on_abort") == ["a"]
        assert cluster.called("on_success").count("a") == 0


async def test_an_abort_between_two_attempts_is_called_back_by_who_made_it_alone(two):
    async with two(fail) as cluster:
        _, other = await cluster.begin(retry=RetryPolicy(max_attempts=3))
        aborted = await other.parts.instances.abort("a")
        assert (aborted.before.state, aborted.before.attempt) == (State.PENDING, 1)
        await cluster.clock.advance(5)
        assert cluster.called("on_abort") == ["a"]
