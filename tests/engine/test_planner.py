"""Planners on the reference store, turn by turn: each nominal time has one instance.

Without the loops of a node nothing looks at the clock between two turns, so a year passes at once.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from later_core.model.recurrence.rules import CronRule, ExcludedDates
from later_core.model.schedule import CatchUp, Overlap
from later_core.model.state import State
from later_core.testing.builders import failed
from tests.engine.planners import EVERY_MINUTE, MINUTE, Bench


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.mark.parametrize("zone", ["Europe/Paris", "America/New_York", "Australia/Lord_Howe"])
async def test_a_year_of_nights_has_one_run_each_also_where_the_clocks_change(zone: str) -> None:
    bench = Bench(datetime(2030, 1, 1, tzinfo=ZoneInfo(zone)).astimezone(UTC))
    night = CronRule(expression="30 2 * * *", time_zone=zone)
    await bench.create(replace(EVERY_MINUTE, rules=(night,)))
    year_end = datetime(2031, 1, 1, tzinfo=ZoneInfo(zone)).astimezone(UTC)
    await bench.live_until(year_end, bench.planner())
    days = [time.astimezone(ZoneInfo(zone)).date() for time in await bench.times()]
    assert days == [date(2030, 1, 1) + timedelta(days=n) for n in range(365)]
    schedule = await bench.schedule()
    assert (schedule.progress.runs, schedule.progress.missed) == (365, 0)
    assert {i.state for i in await bench.instances()} == {State.SUCCEEDED}


async def test_working_hours_rest_on_holidays(bench: Bench) -> None:
    spec = replace(
        EVERY_MINUTE,
        rules=(CronRule(expression="0 9-17 * * MON-FRI"),),
        exclusions=(ExcludedDates(dates=(date(2030, 1, 2),)),),
    )
    await bench.create(spec)
    await bench.live_until(datetime(2030, 1, 6, tzinfo=UTC), bench.planner())
    per_day = Counter(time.date().day for time in await bench.times())
    assert per_day == {1: 9, 3: 9, 4: 9}


async def test_a_schedule_that_has_ended_keeps_its_row(bench: Bench) -> None:
    start = bench.clock.now()
    await bench.create(replace(EVERY_MINUTE, max_runs=3))
    planner = bench.planner()
    await bench.live_until(start + 10 * MINUTE, planner)
    assert len(await bench.times()) == 3
    schedule = await bench.schedule()
    assert schedule.progress.next_time is None
    assert (schedule.progress.runs, schedule.is_paused) == (3, False)


async def test_nothing_fires_from_its_end_time_on(bench: Bench) -> None:
    start = bench.clock.now()
    await bench.create(replace(EVERY_MINUTE, end_time=start + 3 * MINUTE))
    await bench.live_until(start + 10 * MINUTE, bench.planner())
    assert await bench.times() == [start + MINUTE, start + 2 * MINUTE]


async def test_each_instance_is_due_within_the_jitter(bench: Bench) -> None:
    start = bench.clock.now()
    await bench.create(replace(EVERY_MINUTE, jitter=timedelta(seconds=30), overlap=Overlap.ALLOW))
    await bench.live_until(start + 20.5 * MINUTE, bench.planner(), is_busy=True)
    late = [time - (start + n * MINUTE) for n, time in enumerate(await bench.times(), start=1)]
    assert len(set(late)) > 10
    assert all(timedelta(0) <= one <= timedelta(seconds=30) for one in late)


@pytest.mark.parametrize(
    ("catch_up", "window", "made_up_for"),
    [
        (CatchUp.ALL, None, list(range(4, 64))),
        (CatchUp.LAST, None, [63]),
        (CatchUp.NONE, None, [63]),
        (CatchUp.ALL, 10 * MINUTE, list(range(54, 64))),
    ],
)
async def test_after_an_outage_it_is_made_up_for_as_asked(
    bench: Bench, catch_up: CatchUp, window: timedelta | None, made_up_for: list[int]
) -> None:
    start = bench.clock.now()
    await bench.create(
        replace(EVERY_MINUTE, overlap=Overlap.ALLOW, catch_up=catch_up, catchup_window=window)
    )
    await bench.live_until(start + 3.5 * MINUTE, bench.planner(), is_busy=True)
    # Sixty times pass while nobody plans; the last of them half a minute ago.
    await bench.pass_to(start + 63.5 * MINUTE)
    await bench.planner().turn()
    assert await bench.times() == [start + n * MINUTE for n in [1, 2, 3, *made_up_for]]
    progress = (await bench.schedule()).progress
    assert progress.missed == 60 - len(made_up_for)


async def test_a_second_that_the_planner_was_late_is_no_outage(bench: Bench) -> None:
    start = bench.clock.now()
    await bench.create(replace(EVERY_MINUTE, catch_up=CatchUp.NONE))
    await bench.pass_to(start + MINUTE + timedelta(seconds=50))
    await bench.planner().turn()
    assert await bench.times() == [start + MINUTE]


# -- overlap -------------------------------------------------------------------------------


async def test_skip(bench: Bench) -> None:
    start = bench.clock.now()
    await bench.create(EVERY_MINUTE)
    planner = bench.planner()
    await bench.live_until(start + 3.5 * MINUTE, planner, is_busy=True)
    assert await bench.times() == [start + MINUTE]
    await bench.end_all()
    await bench.live_until(start + 4.5 * MINUTE, planner)
    assert await bench.times() == [start + MINUTE, start + 4 * MINUTE]
    progress = (await bench.schedule()).progress
    assert (progress.runs, progress.skipped) == (2, 2)


@pytest.mark.parametrize(
    ("overlap", "then", "skipped"),
    [(Overlap.BUFFER_ONE, [1, 2], 2), (Overlap.BUFFER_ALL, [1, 2, 3, 4], 0)],
)
async def test_what_waits_starts_one_by_one_as_the_earlier_end(
    bench: Bench, overlap: Overlap, then: list[int], skipped: int
) -> None:
    start = bench.clock.now()
    await bench.create(replace(EVERY_MINUTE, overlap=overlap, end_time=start + 5 * MINUTE))
    planner = bench.planner()
    await bench.live_until(start + 4.5 * MINUTE, planner, is_busy=True)
    for number in range(1, len(then) + 1):
        await bench.pass_to(bench.clock.now() + timedelta(seconds=1))
        await planner.turn()
        assert await bench.times() == [start + n * MINUTE for n in then[:number]]
        await bench.end_all()
    await bench.pass_to(bench.clock.now() + timedelta(seconds=1))
    await planner.turn()
    assert len(await bench.times()) == len(then)
    progress = (await bench.schedule()).progress
    assert (progress.runs, progress.skipped, progress.waiting) == (len(then), skipped, ())


async def test_abort_running(bench: Bench) -> None:
    start = bench.clock.now()
    await bench.create(replace(EVERY_MINUTE, overlap=Overlap.ABORT_RUNNING))
    await bench.live_until(start + 3.5 * MINUTE, bench.planner(), is_busy=True)
    states = [instance.state for instance in await bench.instances()]
    assert states == [State.ABORTED, State.ABORTED, State.PENDING]


async def test_allow(bench: Bench) -> None:
    start = bench.clock.now()
    await bench.create(replace(EVERY_MINUTE, overlap=Overlap.ALLOW))
    await bench.live_until(start + 3.5 * MINUTE, bench.planner(), is_busy=True)
    assert {instance.state for instance in await bench.instances()} == {State.PENDING}
    assert await bench.times() == [start + n * MINUTE for n in (1, 2, 3)]


# -- failures ------------------------------------------------------------------------------


async def test_a_failure_pauses_with_a_note_and_what_waits_does_not_run(bench: Bench) -> None:
    start = bench.clock.now()
    spec = replace(EVERY_MINUTE, pause_on_failure=True, overlap=Overlap.BUFFER_ALL)
    await bench.create(spec)
    planner = bench.planner()
    await bench.live_until(start + 3.5 * MINUTE, planner, is_busy=True)
    await bench.end_all(failed)
    # Whoever looks next sees it in the rows: the node that ran it may be dead.
    await bench.pass_to(start + 4 * MINUTE)
    await bench.planner().turn()
    schedule = await bench.schedule()
    assert schedule.is_paused
    assert "s@20300101T000100Z" in schedule.pause_note
    assert (schedule.revision, schedule.progress.waiting) == (2, ())
    assert (schedule.progress.runs, schedule.progress.skipped) == (1, 2)
    await bench.pass_to(start + 9 * MINUTE)
    await planner.turn()
    assert await bench.times() == [start + MINUTE]


async def test_a_failure_before_the_resume_is_forgiven(bench: Bench) -> None:
    start = bench.clock.now()
    schedule = await bench.create(replace(EVERY_MINUTE, pause_on_failure=True))
    await bench.live_until(start + 1.5 * MINUTE, bench.planner(), is_busy=True)
    await bench.end_all(failed)
    schedule = await bench.schedule()
    await bench.pass_to(start + 1.6 * MINUTE)
    progress = replace(
        schedule.progress, watched_from=bench.clock.now(), step=schedule.progress.step + 1
    )
    assert await bench.store.change_schedule(schedule, replace(schedule, progress=progress))
    await bench.live_until(start + 3.5 * MINUTE, bench.planner())
    assert len(await bench.times()) == 3
    assert not (await bench.schedule()).is_paused


async def test_without_the_policy_failures_change_nothing(bench: Bench) -> None:
    start = bench.clock.now()
    await bench.create(EVERY_MINUTE)
    planner = bench.planner()
    for minute in range(1, 4):
        await bench.live_until(start + (minute + 0.5) * MINUTE, planner, is_busy=True)
        await bench.end_all(failed)
    assert len(await bench.times()) == 3
