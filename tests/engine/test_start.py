"""When an instance starts: on time, once, never early, however old."""

from datetime import UTC, datetime, timedelta

from later_core.model.instance import Instance
from later_core.model.state import State
from later_core.stores.memory import MemoryStore
from later_core.testing.clock import FakeClock
from later_core.testing.tasks import RecordingTask


async def test_an_instance_starts_at_its_time_and_not_a_millisecond_before(running):
    task = RecordingTask()
    async with running(task) as bench:
        await bench.create("a", delay=10)
        await bench.clock.advance(9.999)
        assert task.calls == []
        await bench.clock.advance(0.01)
        assert task.calls[0] == ("run", "a", 1)


async def test_a_start_is_measured_by_the_database_not_by_the_wall(running):
    task = RecordingTask()
    async with running(task) as bench:
        created = await bench.create("a", delay=5)
        await bench.clock.advance(6)
        ended = await bench.get("a")
        assert ended.start_time is not None
        assert ended.start_time >= created.execution_time


async def test_a_success_keeps_its_result_and_is_called_back_once(running):
    task = RecordingTask()
    async with running(task) as bench:
        await bench.create("a", parameters=b"hello")
        await bench.clock.advance(1)
        ended = await bench.get("a")
        assert (ended.state, ended.result, ended.attempt) == (State.SUCCEEDED, b"hello", 1)
        assert ended.finish_time is not None
        assert [call for call, _, _ in task.calls] == ["run", "on_success"]


async def test_pending_work_of_any_age_is_pulled_at_the_start(running):
    """The ancestor pulled from one minute ago, so that older work was lost for ever."""
    clock = FakeClock()
    store = MemoryStore(clock=clock)
    years_ago = clock.now() - timedelta(days=3 * 365)
    old = Instance(id="old", task="record", execution_time=years_ago, create_time=years_ago)
    await store.insert([old])
    task = RecordingTask()
    async with running(task, store=store, clock=clock) as bench:
        await bench.clock.advance(2)
        assert task.called("run") == ["old"]


async def test_what_was_created_elsewhere_is_pulled_within_the_recurrence(running):
    clock = FakeClock()
    store = MemoryStore(clock=clock)
    task = RecordingTask()
    async with running(task, store=store, clock=clock) as bench:
        due = clock.now() + timedelta(minutes=8)
        foreign = Instance(id="x", task="record", execution_time=due, create_time=clock.now())
        await store.insert([foreign])
        await bench.clock.advance(8 * 60 + 1)
        assert task.called("run") == ["x"]


async def test_a_create_that_races_a_pull_runs_once(running):
    """The ancestor ran such an instance twice."""
    task = RecordingTask()
    settings = {"recurrence": "100ms", "time_ahead": "1s"}
    async with running(task, **settings) as bench:
        for number in range(50):
            await bench.create(f"i{number}", delay=0.05 * number)
            await bench.clock.advance(0.03)
        await bench.clock.advance(5)
        assert sorted(task.called("run")) == sorted(f"i{number}" for number in range(50))


async def test_far_away_work_is_not_held_in_memory(running):
    async with running(RecordingTask()) as bench:
        await bench.create("near", delay=60)
        await bench.create("far", delay=24 * 3600)
        stats = await bench.parts.inventory.stats()
        assert stats.window_size == 1


async def test_work_beyond_the_window_starts_on_time_too(running):
    task = RecordingTask()
    async with running(task) as bench:
        created = await bench.create("far", delay=3600)
        await bench.clock.advance(3601)
        ended = await bench.get("far")
        assert ended.start_time is not None
        assert ended.start_time - created.execution_time < timedelta(milliseconds=5)


async def test_the_backlog_of_a_downtime_is_drained_at_its_rate_behind_what_is_due_now(running):
    clock = FakeClock()
    store = MemoryStore(clock=clock)
    yesterday = clock.now() - timedelta(days=1)
    await store.insert(
        [
            Instance(id=f"old{n}", task="record", execution_time=yesterday, create_time=yesterday)
            for n in range(100)
        ]
    )
    task = RecordingTask()
    async with running(task, store=store, clock=clock, catch_up_rate=10) as bench:
        await bench.create("now", delay=1)
        await bench.clock.advance(2)
        ran = task.called("run")
        assert "now" in ran
        assert 10 <= len(ran) <= 30
        await bench.clock.advance(10)
        assert len(task.called("run")) == 101


async def test_no_more_run_at_once_than_allowed(running):
    clock = FakeClock()
    running_now: list[int] = [0, 0]

    async def body(_context):
        running_now[0] += 1
        running_now[1] = max(running_now)
        await clock.sleep(1)
        running_now[0] -= 1

    task = RecordingTask(body)
    async with running(task, clock=clock, max_running=3) as bench:
        for number in range(10):
            await bench.create(f"i{number}")
        await bench.clock.advance(10)
        assert running_now[1] == 3
        assert len(task.called("on_success")) == 10


async def test_an_instance_too_late_to_be_useful_fails_visibly_and_never_runs(running):
    clock = FakeClock(datetime(2030, 1, 1, tzinfo=UTC))
    store = MemoryStore(clock=clock)
    an_hour_ago = clock.now() - timedelta(hours=1)
    await store.insert(
        [
            Instance(
                id="late",
                task="record",
                execution_time=an_hour_ago,
                create_time=an_hour_ago,
                start_deadline=timedelta(minutes=1),
            )
        ]
    )
    task = RecordingTask()
    async with running(task, store=store, clock=clock) as bench:
        await bench.clock.advance(2)
        ended = await bench.get("late")
        assert ended.state is State.FAILED
        assert ended.error is not None
        assert ended.error.reason == "MISSED"
        assert task.called("run") == []
        assert task.called("on_fail") == ["late"]


async def test_an_instance_of_a_task_that_is_not_installed_stays_pending_and_is_shown(running):
    clock = FakeClock()
    store = MemoryStore(clock=clock)
    now = clock.now()
    await store.insert([Instance(id="orphan", task="missing", execution_time=now, create_time=now)])
    async with running(RecordingTask(), store=store, clock=clock) as bench:
        await bench.clock.advance(700)
        assert (await bench.get("orphan")).state is State.PENDING
        stats = await bench.parts.inventory.stats()
        assert stats.counts.unresolved == {"missing": 1}
    task = RecordingTask(name="missing")
    async with running(task, store=store, clock=clock) as bench:
        await bench.clock.advance(2)
        assert task.called("run") == ["orphan"]
