"""A task that crashes again and again is left alone for a while, and its instances lose nothing."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from later_core.engine.breakers import Breakers
from later_core.model.breaker import Breaker, parse_breaker
from later_core.model.instance import InstanceError
from later_core.model.outcome import Failed, Succeeded
from later_core.model.state import State
from later_core.plugin.task import TaskError
from later_core.stores.memory import MemoryStore
from later_core.testing.clock import FakeClock
from later_core.testing.tasks import RecordingTask

THREE = Breaker(crashes=3, within=timedelta(minutes=1), cool_down=timedelta(seconds=10))
CRASH = Failed(error=InstanceError(reason="TASK_FAILED", message=""), is_crash=True)


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def store(clock):
    return MemoryStore(clock=clock)


def crashing(error=ValueError, *, breaker=THREE, name="record"):
    async def body(context):
        if task.fault is not None:
            raise task.fault("broken")

    task = RecordingTask(body, name=name)
    task.breaker, task.fault = breaker, error
    return task


async def test_it_opens_tries_one_at_a_time_ever_more_rarely_and_closes(running, clock, store):
    task, other = crashing(), RecordingTask(name="other")
    with capture_logs() as logs:
        async with running(task, other, clock=clock, store=store) as bench:
            for n in range(3):
                await bench.create(f"c{n}")
            await clock.advance(1)
            for n in range(9):
                await bench.create(f"i{n}", delay=n / 10)
            await bench.create("o", task="other")
            await clock.advance(8)
            assert other.called("run") == ["o"]
            assert len(task.called("run")) == 3
            assert (await bench.get("i0")).state is State.PENDING
            await clock.advance(2.5)
            assert task.called("run")[3:] == ["i0"]  # the probe, 10 s after
            await clock.advance(17)
            assert len(task.called("run")) == 4
            await clock.advance(4)
            assert task.called("run")[4:] == ["i1"]  # and 20 s after that
            task.fault = None
            await clock.advance(42)
            assert sorted(task.called("run")[5:]) == [f"i{n}" for n in range(2, 9)]
            states = [(await bench.get(f"i{n}")).state for n in range(9)]
            assert states == [State.FAILED] * 2 + [State.SUCCEEDED] * 7
    told = [line["event"] for line in logs if line["event"].startswith("breaker")]
    assert told == ["breaker open"] * 3 + ["breaker closed"]


async def test_what_an_author_meant_is_no_crash(running, clock, store):
    task = crashing(TaskError)
    async with running(task, clock=clock, store=store) as bench:
        for n in range(9):
            await bench.create(f"i{n}", delay=n / 10)
        await clock.advance(3)
        assert len(task.called("run")) == 9


async def test_a_probe_that_is_aborted_lets_the_next_one_through(running, clock, store):
    task = crashing()

    async def hang(context):
        task.calls.append(("hang", context.instance.id, 1))
        await clock.sleep(1000)

    async with running(task, clock=clock, store=store) as bench:
        for n in range(3):
            await bench.create(f"c{n}")
        await clock.advance(1)
        task._body = hang
        for n in range(3):
            await bench.create(f"i{n}", delay=n / 10)
        await clock.advance(12)
        assert task.called("hang") == ["i0"]
        await bench.parts.instances.abort("i0")
        await clock.advance(1)
        assert task.called("hang") == ["i0", "i1"]


async def test_exceeding_the_time_limit_of_the_task_is_a_crash_and_its_own_timeout_is_none(
    running, clock, store
):
    async def hang(context):
        await clock.sleep(1000)

    task = RecordingTask(hang)
    task.breaker, task.time_limit = THREE, timedelta(seconds=2)
    async with running(task, clock=clock, store=store) as bench:
        for n in range(6):
            await bench.create(f"own{n}", timeout=timedelta(seconds=1))
        await clock.advance(2)
        await bench.create("runs")
        await clock.advance(1)
        assert "runs" in task.called("run")
        for n in range(3):
            await bench.create(f"c{n}")
        await clock.advance(3)
        await bench.create("held")
        await clock.advance(2)
        assert "held" not in task.called("run")


async def test_those_claimed_when_it_opens_are_handed_back_and_start_later(running, clock, store):
    task = crashing()
    async with running(task, clock=clock, store=store) as bench:
        for n in range(30):
            await bench.create(f"i{n}", delay=1 + n / 100)
        await clock.advance(2.5)
        assert len(task.called("run")) == 3
        task.fault = None
        await clock.advance(12)
        found = [await bench.get(f"i{n}") for n in range(30)]
        assert [each.state for each in found].count(State.SUCCEEDED) == 27
        assert len(task.called("run")) == 30  # each once


@given(
    gaps=st.lists(st.tuples(st.floats(0, 40), st.booleans()), max_size=40),
)
def test_it_opens_exactly_after_so_many_in_a_row_within_the_time(gaps):
    clock, now = FakeClock(), 0.0
    breakers = Breakers({"t": THREE}, clock=clock, changed=lambda: None)
    clock.monotonic = lambda: now
    row = []
    for gap, is_crash in gaps:
        now += gap
        breakers.note("t", CRASH if is_crash else Succeeded(), is_probe=False)
        row = [*row, now] if is_crash else []
        expected = len(row) >= 3 and row[-1] - row[-3] <= 60
        assert ("t" in breakers.open) == expected
        if expected:
            break


@given(
    st.builds(
        Breaker,
        crashes=st.integers(1, 1000),
        within=st.integers(1, 86_400_000).map(lambda ms: timedelta(milliseconds=ms)),
        cool_down=st.integers(1, 86_400_000).map(lambda ms: timedelta(milliseconds=ms)),
    )
)
def test_its_text_reads_back_and_its_cool_down_stays_bounded(breaker):
    assert parse_breaker(str(breaker)) == breaker
    cool_down = breaker.cool_down
    for _ in range(40):
        assert cool_down <= breaker.after(cool_down) <= breaker.longest
        cool_down = breaker.after(cool_down)
    assert cool_down == breaker.longest
