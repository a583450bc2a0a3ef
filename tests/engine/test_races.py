"""What people ask while the engine is at the same instance."""

import asyncio
from datetime import timedelta

import pytest

from later_core.errors import StoreUnavailable
from later_core.model.instance import Instance
from later_core.model.state import State
from later_core.stores.memory import MemoryStore
from later_core.testing.clock import FakeClock
from later_core.testing.tasks import RecordingTask


class SlowStore(MemoryStore):
    """The reference store; a test may hold up what has been done, before its answer is given."""

    def __init__(self, *, clock):
        super().__init__(clock=clock)
        self.held: dict[str, asyncio.Event] = {}

    def hold(self, call: str) -> asyncio.Event:
        self.held[call] = asyncio.Event()
        return self.held[call]

    async def _answer(self, call):
        if call in self.held:
            await self.held[call].wait()

    async def due(self, **asked):
        entries = await super().due(**asked)
        await self._answer("due")
        return entries

    async def insert(self, instances):
        results = await super().insert(instances)
        await self._answer("insert")
        return results

    async def abort(self, id):
        aborted = await super().abort(id)
        await self._answer("abort")
        return aborted

    async def reschedule(self, id, execution_time, *, revision):
        moved = await super().reschedule(id, execution_time, revision=revision)
        await self._answer("reschedule")
        return moved

    async def retry(self, id, execution_time):
        again = await super().retry(id, execution_time)
        await self._answer("retry")
        return again

    async def finish(self, endings):
        await self._answer("finish")
        return await super().finish(endings)

    async def beat(self, node, *, lease):
        await self._answer("beat")
        return await super().beat(node, lease=lease)


@pytest.mark.parametrize(("before", "after"), [(200, 20), (20, 100)])
async def test_a_page_read_before_a_reschedule_does_not_undo_it(running, before, after):
    clock = FakeClock()
    store = SlowStore(clock=clock)
    task = RecordingTask()
    async with running(task, store=store, clock=clock, recurrence="5m", time_ahead="10m") as bench:
        await bench.create("a", delay=300 + before)
        release = store.hold("due")
        await clock.advance(301)
        # The pull has read the page, and waits for it.
        moved = await bench.parts.instances.reschedule(
            "a", execution_time=None, delay=timedelta(seconds=after), revision=None
        )
        store.held.clear()
        release.set()
        left = (moved.execution_time - clock.now()).total_seconds()
        await clock.advance(left + 0.1)
        assert task.called("run") == ["a"]


async def _ask_and_give_up(clock, asking):
    """Ask, and be cancelled once the store has done it and not yet answered."""
    async with asyncio.TaskGroup() as group:
        asked = group.create_task(asking)
        await clock.settle()
        asked.cancel()
        await clock.settle()


async def test_an_abort_whose_caller_has_gone_still_reaches_the_run(running):
    clock = FakeClock()
    store = SlowStore(clock=clock)

    async def body(_context):
        await clock.sleep(1000)

    task = RecordingTask(body)
    async with running(task, store=store, clock=clock) as bench:
        await bench.create("a")
        await clock.advance(1)
        release = store.hold("abort")
        await _ask_and_give_up(clock, bench.parts.instances.abort("a"))
        release.set()
        await clock.advance(1)
        assert (await bench.get("a")).state is State.ABORTED
        assert task.called("on_abort") == ["a"]


@pytest.mark.parametrize("way", ["create", "create_many", "reschedule", "retry"])
async def test_what_was_asked_by_a_caller_who_has_gone_runs_at_once(running, way):
    from later_core.model.instance import NewInstance

    clock = FakeClock()
    store = SlowStore(clock=clock)
    task = RecordingTask()
    async with running(task, store=store, clock=clock) as bench:
        if way == "reschedule":
            await bench.create("a", delay=3600)
        elif way == "retry":
            await bench.create("a")
            await clock.advance(1)
            task.calls.clear()
        instances, request = bench.parts.instances, NewInstance(id="a", task="record")
        now = {"execution_time": None, "delay": None}
        call, asking = {
            "create": ("insert", lambda: instances.create(request)),
            "create_many": ("insert", lambda: instances.create_many([request])),
            "reschedule": ("reschedule", lambda: instances.reschedule("a", **now, revision=None)),
            "retry": ("retry", lambda: instances.retry("a", **now)),
        }[way]
        release = store.hold(call)
        await _ask_and_give_up(clock, asking())
        store.held.clear()
        release.set()
        await clock.advance(1)
        assert task.called("run") == ["a"]


@pytest.mark.parametrize("reason", ["timeout", "shutdown"])
async def test_an_abort_that_meets_a_stopped_run_still_calls_on_abort_once(running, reason):
    clock = FakeClock()
    store = SlowStore(clock=clock)

    async def body(_context):
        await clock.sleep(1000)

    task = RecordingTask(body)
    async with running(task, store=store, clock=clock) as bench:
        timeout = timedelta(seconds=2) if reason == "timeout" else None
        await bench.create("a", timeout=timeout)
        await clock.advance(1)
        release = store.hold("finish")
        async with asyncio.TaskGroup() as group:
            if reason == "shutdown":
                group.create_task(bench.parts.drain(timedelta()))
            await clock.advance(2)
            # The run was stopped, and its end is on its way to the store.
            await bench.parts.instances.abort("a")
            release.set()
            store.held.clear()
            await clock.advance(1)
        assert (await bench.get("a")).state is State.ABORTED
        assert [call for call, _, _ in task.calls] == ["run", "on_abort"]


async def _unresolved(store, clock, **fields):
    then = clock.now()
    fields.setdefault("execution_time", then + timedelta(hours=1))
    await store.insert([Instance(id="a", task="elsewhere", create_time=then, **fields)])


async def test_moving_what_has_no_plugin_here_does_not_claim_it(running):
    clock = FakeClock()
    store = MemoryStore(clock=clock)
    await _unresolved(store, clock)
    async with running(RecordingTask(), store=store, clock=clock) as bench:
        await bench.parts.instances.reschedule(
            "a", execution_time=clock.now(), delay=None, revision=None
        )
        await clock.advance(1)
        found = await bench.get("a")
        assert (found.state, found.revision) == (State.PENDING, 2)


async def test_the_lease_ends_on_time_although_a_heartbeat_hangs(running):
    clock = FakeClock()
    store = SlowStore(clock=clock)
    stopped_at = []

    async def body(_context):
        try:
            await clock.sleep(1000)
        finally:
            stopped_at.append(clock.monotonic())

    async with running(RecordingTask(body), store=store, clock=clock, lease="10s") as bench:
        await bench.create("a")
        await clock.advance(1)
        release, held_at = store.hold("beat"), clock.monotonic()
        await clock.advance(30)
        store.held.clear()
        release.set()
        await clock.advance(1)
        assert len(stopped_at) == 1
        assert stopped_at[0] - held_at < 10


async def test_a_reschedule_stands_when_the_claim_of_the_old_time_fails(running):
    clock = FakeClock()

    class Cut(SlowStore):
        async def claim(self, ids, *, node, until):
            if "claim" in self.held:
                await self._answer("claim")
                del self.held["claim"]
                raise StoreUnavailable("cut by the test")
            return await super().claim(ids, node=node, until=until)

    store = Cut(clock=clock)
    task = RecordingTask()
    async with running(task, store=store, clock=clock) as bench:
        await bench.create("a", delay=5)
        release = store.hold("claim")
        await clock.advance(5)
        await bench.parts.instances.reschedule(
            "a", execution_time=None, delay=timedelta(seconds=20), revision=None
        )
        release.set()
        await clock.advance(20.1)
        assert task.called("run") == ["a"]
