"""A task takes no more of its node than its limits let it, and holds up no other task."""

from datetime import timedelta

import pytest

from later_core.errors import SettingInvalid
from later_core.model.concurrency import Concurrency
from later_core.model.state import State
from later_core.model.task_limits import TaskLimits
from later_core.settings import load
from later_core.stores.memory import MemoryStore
from later_core.testing.clock import FakeClock
from later_core.testing.tasks import RecordingTask

SECOND = timedelta(seconds=1)


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def store(clock):
    return ClaimsStore(clock=clock)


class ClaimsStore(MemoryStore):
    """Notes which instances were claimed, each time that they were."""

    def __init__(self, *, clock):
        super().__init__(clock=clock)
        self.claimed = []
        self.gated_calls = 0

    async def claim(self, ids, **asked):
        claimed = await super().claim(ids, **asked)
        self.claimed += [instance.id for instance in claimed]
        return claimed

    async def gated(self, ids, **asked):
        self.gated_calls += 1
        return await super().gated(ids, **asked)


class Slow(RecordingTask):
    """Takes its time, and knows how many of it ran at once."""

    def __init__(self, clock, *, seconds=1.0, name="record", limit=None):
        super().__init__(self._take_time, name=name)
        self.concurrency_limit = limit
        self.clock, self.seconds = clock, seconds
        self.running = self.most = 0

    async def _take_time(self, context):
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            await self.clock.sleep(self.seconds)
        finally:
            self.running -= 1


async def test_no_more_run_at_once_and_the_earliest_due_comes_first(running, clock, store):
    task = Slow(clock, limit=2)
    async with running(task, clock=clock, store=store) as bench:
        for n in range(6):
            await bench.create(f"i{n}", delay=2 - n / 10)
        await clock.advance(2.5)
        assert task.running == 2
        assert sorted(store.claimed) == ["i4", "i5"]  # the others only once they can start
        assert (await bench.get("i0")).state is State.PENDING
        await clock.advance(4)
        assert task.most == 2
        assert task.called("run") == [f"i{n}" for n in reversed(range(6))]
        assert sorted(store.claimed) == sorted(f"i{n}" for n in range(6))


async def test_what_waits_for_a_place_takes_no_room_from_others(running, clock, store):
    slow, free = Slow(clock, seconds=1000, limit=1), RecordingTask(name="free")
    async with running(slow, free, clock=clock, store=store, max_running=2) as bench:
        for n in range(50):
            await bench.create(f"i{n}")
        await clock.advance(1)
        for n in range(20):
            await bench.create(f"f{n}", task="free", delay=1)
        await clock.advance(3)
        assert len(free.called("run")) == 20
        assert len(slow.called("run")) == 1


async def test_what_shares_a_key_does_not_wait_for_a_place_that_it_does_not_need(
    running, clock, store
):
    slow, free = Slow(clock, seconds=1000, limit=1), RecordingTask(name="free")
    key = Concurrency(key="k", limit=5)
    async with running(slow, free, clock=clock, store=store) as bench:
        for n in range(10):
            await bench.create(f"i{n}", concurrency=key)
        await clock.advance(1)
        await bench.create("f", task="free", concurrency=key)
        await clock.advance(1)
        assert free.called("run") == ["f"]
        assert slow.most == 1
        assert len(await store.slots("k")) == 1


async def test_lines_of_a_task_with_few_places_have_their_turn_in_order_of_time(
    running, clock, store
):
    task = Slow(clock, limit=1)
    async with running(task, clock=clock, store=store) as bench:
        for n in range(6):
            key = Concurrency(key="ab"[n % 2], limit=3)
            await bench.create(f"i{n}", delay=1 + n / 10, concurrency=key)
        await clock.advance(10)
        assert task.called("run") == [f"i{n}" for n in range(6)]


async def test_what_waits_is_aborted_moved_and_missed_as_anything_is(running, clock, store):
    task = Slow(clock, seconds=5, limit=1)
    async with running(task, clock=clock, store=store) as bench:
        await bench.create("first")
        await clock.advance(0.3)
        for id in ("aborted", "moved"):
            await bench.create(id)
        await bench.create("late", start_deadline=2 * SECOND)
        await clock.advance(0.3)
        await bench.parts.instances.abort("aborted")
        await bench.parts.instances.reschedule(
            "moved", execution_time=None, delay=20 * SECOND, revision=None
        )
        await clock.advance(10)
        assert task.called("run") == ["first"]
        assert task.called("on_abort") == ["aborted"]
        late = await bench.get("late")
        assert (late.state, late.error.reason) == (State.FAILED, "MISSED")
        await clock.advance(20)
        assert task.called("run") == ["first", "moved"]


async def test_a_drained_node_leaves_what_waits_to_the_next(running, clock, store):
    task = Slow(clock, seconds=1, limit=1)
    async with running(task, clock=clock, store=store) as bench:
        for n in range(3):
            await bench.create(f"i{n}")
        await clock.advance(0.5)
    left = [await store.get(f"i{n}") for n in range(3)]
    assert [each.state for each in left] == [State.PENDING] * 3
    async with running(task, clock=clock, store=store):
        await clock.advance(10)
    left = [await store.get(f"i{n}") for n in range(3)]
    assert [each.state for each in left] == [State.SUCCEEDED] * 3
    assert task.most == 1


async def test_an_abort_of_what_runs_frees_its_place(running, clock, store):
    task = Slow(clock, seconds=1000, limit=1)
    async with running(task, clock=clock, store=store) as bench:
        for id in ("first", "second"):
            await bench.create(id)
            await clock.advance(0.2)
        await bench.parts.instances.abort("first")
        await clock.advance(1)
        assert task.called("run") == ["first", "second"]


async def test_without_limits_a_claim_hears_of_none(running, clock, store):
    async with running(RecordingTask(), clock=clock, store=store) as bench:
        for n in range(5):
            await bench.create(f"i{n}", delay=n / 10)
        await clock.advance(2)
        assert store.gated_calls == 0


@pytest.mark.parametrize(
    ("asked", "limit", "ends_after"),
    [(None, 3, 3), (10, 3, 3), (2, 3, 2)],
)
async def test_the_shorter_of_timeout_and_time_limit_holds(
    running, clock, store, asked, limit, ends_after
):
    task = Slow(clock, seconds=1000)
    task.time_limit = timedelta(seconds=limit)
    timeout = None if asked is None else timedelta(seconds=asked)
    async with running(task, clock=clock, store=store) as bench:
        await bench.create("i", timeout=timeout)
        await clock.advance(ends_after - 0.5)
        assert (await bench.get("i")).state is State.RUNNING
        await clock.advance(1)
        found = await bench.get("i")
        assert (found.state, found.error.reason) == (State.FAILED, "TIMEOUT")
        assert ("the time limit of its task" in found.error.message) == (ends_after != asked)
        assert found.timeout == timeout


async def test_operators_set_other_limits_for_one_task_or_for_all(running, clock, store):
    tasks = [Slow(clock, name=name, limit=3) for name in ("a", "b", "c")]
    tasks[2].concurrency_limit = None
    settings = {
        "concurrency_limits": "a=none, *=1",
        "time_limits": "b=5s, *=1h",
        "breakers": "a=3/1m",
    }
    async with running(*tasks, clock=clock, store=store, **settings) as bench:
        for n in range(5):
            for task in "abc":
                await bench.create(f"{task}{n}", task=task)
        await clock.advance(8)
        assert [task.most for task in tasks] == [5, 3, 1]
        shown = {each.task.name: each.limits for each in bench.parts.inventory.tasks()}
        assert shown["b"] == TaskLimits(time=5 * SECOND, concurrency=3)
        assert shown["c"] == TaskLimits(time=timedelta(hours=1), concurrency=1)
        assert str(shown["a"].breaker) == "3/1m+30s"


@pytest.mark.parametrize(
    "settings",
    [
        {"time_limits": "mail"},
        {"time_limits": "mail=0s"},
        {"concurrency_limits": "mail=0"},
        {"concurrency_limits": "mail=many"},
        {"concurrency_limits": "mail=1, mail=2"},
        {"breakers": "mail=0/1m"},
        {"breakers": "mail=5"},
    ],
)
def test_what_is_no_limit_is_refused_by_name(settings):
    with pytest.raises(SettingInvalid) as caught:
        load(settings)
    assert "--" + next(iter(settings)).replace("_", "-") in str(caught.value)
