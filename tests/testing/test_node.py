"""The node that a test moves through time: everything happens, at its own moment, and at once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from later_core.errors import TaskNotFound
from later_core.model.instance import Instance, NewInstance
from later_core.model.recurrence.rules import CronRule, IntervalRule
from later_core.model.retry import RetryPolicy
from later_core.model.schedule import CatchUp, Overlap, ScheduleSpec
from later_core.model.state import State
from later_core.plugin.context import Context
from later_core.plugin.task import Task
from later_core.testing.clock import FakeClock
from later_core.testing.node import node
from later_core.testing.tasks import RecordingTask

HOUR = timedelta(hours=1)


def spec(cron: str = "0 * * * *", zone: str = "UTC", **fields: Any) -> ScheduleSpec:
    template = fields.pop("template", NewInstance(task="record"))
    return ScheduleSpec(
        template=template, rules=(CronRule(expression=cron),), time_zone=zone, **fields
    )


def hours(runs: Sequence[Instance]) -> list[int]:
    return [run.execution_time.hour for run in runs]


async def test_a_year_passes_and_every_run_is_on_time():
    task = RecordingTask()
    async with node(task) as later:
        await later.schedules.create(spec("30 2 * * *", "Europe/Paris"), id="s")
        await later.travel(timedelta(days=365))
        runs = await later.runs("s")
    assert len(runs) == len(task.called("run")) == 365
    assert {run.state for run in runs} == {State.SUCCEEDED}
    assert all(run.start_time == run.execution_time for run in runs)


async def test_it_lands_at_the_very_moment_that_was_asked_for():
    async with node() as later:
        begin = later.now
        await later.travel(timedelta(seconds=0.5))
        assert later.now == begin + timedelta(seconds=0.5)
        await later.travel(begin + timedelta(days=100, milliseconds=1))
        assert later.now == begin + timedelta(days=100, milliseconds=1)
        await later.travel(begin)
        assert later.now == begin + timedelta(days=100, milliseconds=1)


async def test_clocks_that_change_on_the_way():
    paris = spec("30 2 * * *", "Europe/Paris")
    async with node(RecordingTask(), start=datetime(2030, 3, 30, 12, tzinfo=UTC)) as later:
        await later.schedules.create(paris, id="s")
        await later.travel(timedelta(days=2))
        assert [f"{run.execution_time:%d %H:%M}" for run in await later.runs("s")] == [
            "31 01:00",
            "01 00:30",
        ]


@pytest.mark.parametrize(
    ("catch_up", "expected"),
    [
        (CatchUp.ALL, [1, 2, 3, 4, 5, 6, 7]),
        (CatchUp.LAST, [1, 6, 7]),
        (CatchUp.NONE, [1, 7]),
    ],
)
async def test_an_outage_is_made_up_for_as_the_schedule_says(catch_up, expected):
    async with node(RecordingTask()) as later:
        await later.schedules.create(spec(catch_up=catch_up, overlap=Overlap.ALLOW), id="s")
        await later.travel(1.5 * HOUR)
        await later.outage(5 * HOUR)
        await later.travel(HOUR)
        runs = await later.runs("s")
        assert hours(runs) == expected
        assert {run.state for run in runs} == {State.SUCCEEDED}
        listed = await later.schedules.get("s")
        assert listed.schedule.progress.missed == 7 - len(expected)


async def test_during_an_outage_there_is_no_node():
    async with node() as later:
        await later.stop()
        with pytest.raises(RuntimeError, match="outage"):
            _ = later.schedules
        await later.start()
        assert later.is_running
        await later.stop()


async def test_a_run_takes_as_long_as_it_sleeps_by_the_clock_and_overlap_is_seen():
    clock = FakeClock()

    async def work(context: Context) -> None:
        await clock.sleep(90 * 60 + 0.7)

    task = RecordingTask(work)
    async with node(task, clock=clock) as later:
        await later.schedules.create(spec(), id="s")
        await later.travel(4.9 * HOUR)
        done, second = await later.runs("s")
        progress = (await later.schedules.get("s")).schedule.progress
    assert hours([done, second]) == [1, 3]
    took = done.finish_time - done.execution_time
    # What a node knows of the database's time is never ahead of it, and up to a millisecond behind.
    assert timedelta(0) <= timedelta(minutes=90, seconds=0.7) - took <= timedelta(milliseconds=1)
    assert second.state is State.SUCCEEDED
    assert progress.skipped == 2


async def test_retries_and_timeouts_come_at_their_own_moment():
    clock = FakeClock()

    async def hang(context: Context) -> None:
        await clock.sleep(10 * 3600)

    template = NewInstance(
        task="record",
        timeout=timedelta(minutes=7),
        retry=RetryPolicy(max_attempts=2, min_backoff=2 * HOUR, max_backoff=2 * HOUR, multiplier=1),
    )
    task = RecordingTask(hang)
    async with node(task, clock=clock) as later:
        await later.schedules.create(spec("0 6 * * *", template=template), id="s")
        await later.travel(12 * HOUR)
        (run,) = await later.runs("s")
    assert (run.state, run.attempt, run.error.reason) == (State.FAILED, 2, "TIMEOUT")
    # The first attempt from 06:00 to 06:07, then a wait of up to two hours, with jitter.
    begun = run.finish_time - timedelta(minutes=7)
    assert begun == run.start_time == run.execution_time
    assert timedelta(minutes=7) < begun - run.create_time.replace(hour=6, minute=0) <= 2.2 * HOUR


class Plain(Task):
    """A plain function, which runs in a thread."""

    name = "plain"
    description = "Runs in a thread."

    def run(self, context: Context) -> bytes:
        return context.instance.id.encode()


async def test_runs_in_threads_are_waited_for():
    async with node(Plain()) as later:
        await later.schedules.create(spec(template=NewInstance(task="plain")), id="s")
        await later.travel(24.5 * HOUR)
        runs = await later.runs("s")
    assert len(runs) == 24
    assert all(run.result == run.id.encode() for run in runs)


async def test_what_nobody_can_run_does_not_hold_time_up():
    rules = (IntervalRule(every=timedelta(days=30)),)
    clock = FakeClock()
    async with node(RecordingTask(name="gone"), clock=clock) as later:
        await later.instances.create(NewInstance(task="gone", id="x", delay=HOUR))
        with pytest.raises(TaskNotFound):
            await later.instances.create(NewInstance(task="record"))
        store = later.store
    async with node(RecordingTask(), clock=clock, store=store) as later:
        await later.schedules.create(
            ScheduleSpec(template=NewInstance(task="record"), rules=rules), id="s"
        )
        await later.travel(timedelta(days=365))
        assert len(await later.runs("s")) == 12
        assert (await later.instances.get("x")).state is State.PENDING
