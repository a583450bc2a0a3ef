"""What is decided of a schedule at one moment, for each policy."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from later_core.engine.deciding import AHEAD, STARTING_MAX, WAITING_MAX, decide, decides_at
from later_core.model.instance import NewInstance
from later_core.model.planning import progress_from
from later_core.model.recurrence.rules import IntervalRule
from later_core.model.schedule import CatchUp, Overlap, Progress, Schedule, ScheduleSpec

START = datetime(2030, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)
EVERY_MINUTE = ScheduleSpec(
    template=NewInstance(task="echo"), rules=(IntervalRule(every=MINUTE),), overlap=Overlap.SKIP
)


def a_schedule(spec: ScheduleSpec = EVERY_MINUTE, **changes: Any) -> Schedule:
    spec = replace(spec, **changes)
    return Schedule(
        id="s",
        spec=spec,
        progress=progress_from(spec, START),
        create_time=START,
        update_time=START,
    )


def after(schedule: Schedule, minutes: float, *active: str) -> Progress:
    """The progress that is decided so many minutes after the start; as before if nothing is."""
    decided = decide(schedule, active=active, now=START + minutes * MINUTE)
    return decided or schedule.progress


def at(*minutes: float) -> tuple[datetime, ...]:
    return tuple(START + minute * MINUTE for minute in minutes)


def test_nothing_is_decided_before_its_time() -> None:
    schedule = a_schedule()
    early = START + MINUTE - timedelta(milliseconds=1)
    assert decide(schedule, active=(), now=early) is None
    assert decides_at(schedule) == START + MINUTE


def test_at_its_time_it_starts_if_nothing_runs() -> None:
    progress = after(a_schedule(), 1)
    assert progress.starting == at(1)
    assert (progress.runs, progress.skipped) == (1, 0)
    assert progress.next_time == START + 2 * MINUTE


@pytest.mark.parametrize(
    ("overlap", "starting", "waiting", "skipped", "aborting"),
    [
        (Overlap.SKIP, at(), at(), 1, ()),
        (Overlap.BUFFER_ONE, at(), at(1), 0, ()),
        (Overlap.BUFFER_ALL, at(), at(1), 0, ()),
        (Overlap.ABORT_RUNNING, at(1), at(), 0, ("s@0",)),
        (Overlap.ALLOW, at(1), at(), 0, ()),
    ],
)
def test_while_an_earlier_one_has_not_ended_the_policy_decides(
    overlap: Overlap,
    starting: tuple[datetime, ...],
    waiting: tuple[datetime, ...],
    skipped: int,
    aborting: tuple[str, ...],
) -> None:
    progress = after(a_schedule(overlap=overlap), 1, "s@0")
    assert progress.starting == starting
    assert progress.waiting == waiting
    assert progress.skipped == skipped
    assert progress.aborting == aborting
    assert progress.runs == len(starting) + len(waiting)


def with_waiting(overlap: Overlap, *minutes: float) -> Schedule:
    schedule = a_schedule(overlap=overlap)
    progress = replace(schedule.progress, waiting=at(*minutes), runs=len(minutes))
    return replace(schedule, progress=progress)


def test_the_first_that_waits_starts_once_nothing_runs() -> None:
    schedule = with_waiting(Overlap.BUFFER_ALL, -3, -2)
    assert decide(schedule, active=["s@0"], now=START) is None
    progress = after(schedule, 0)
    assert progress.starting == at(-3)
    assert progress.waiting == at(-2)
    assert progress.runs == 2


def test_what_is_due_waits_behind_what_waits() -> None:
    progress = after(with_waiting(Overlap.BUFFER_ALL, -3), 1)
    assert progress.starting == at(-3)
    assert progress.waiting == at(1)


def test_while_one_waits_further_ones_are_skipped() -> None:
    progress = after(with_waiting(Overlap.BUFFER_ONE, -3), 1, "s@0")
    assert progress.waiting == at(-3)
    assert progress.skipped == 1


def test_what_waited_under_another_policy_runs_under_the_new_one() -> None:
    assert after(with_waiting(Overlap.ALLOW, -3, -2), 0).starting == at(-3, -2)
    assert after(with_waiting(Overlap.SKIP, -3, -2), 0).starting == at(-3)
    progress = after(with_waiting(Overlap.ABORT_RUNNING, -3, -2), 1, "s@0")
    assert (progress.starting, progress.waiting) == (at(1), at())
    assert (progress.runs, progress.skipped) == (1, 2)


def test_of_several_due_at_once_abort_running_starts_the_last() -> None:
    schedule = a_schedule(overlap=Overlap.ABORT_RUNNING, catch_up=CatchUp.ALL)
    progress = after(schedule, 3, "s@0")
    assert progress.starting == at(3)
    assert progress.aborting == ("s@0",)
    assert (progress.runs, progress.skipped) == (1, 2)


def test_of_several_due_at_once_skip_starts_the_first() -> None:
    progress = after(a_schedule(catch_up=CatchUp.ALL), 3)
    assert progress.starting == at(1)
    assert (progress.runs, progress.skipped) == (1, 2)


def test_where_runs_are_free_they_are_stored_a_little_ahead_and_no_further() -> None:
    schedule = a_schedule(overlap=Overlap.ALLOW, rules=(IntervalRule(every=SECOND),))
    progress = decide(schedule, active=(), now=START)
    assert progress is not None
    assert progress.starting == (START + SECOND, START + 2 * SECOND)
    assert progress.planned_until == START + AHEAD
    assert decides_at(replace(schedule, progress=progress)) == START + SECOND


def test_a_schedule_that_a_failure_pauses_is_never_ahead() -> None:
    schedule = a_schedule(overlap=Overlap.ALLOW, pause_on_failure=True)
    assert decides_at(schedule) == START + MINUTE


def test_skipped_times_are_no_runs() -> None:
    schedule = a_schedule(max_runs=2)
    for minute in range(1, 5):
        schedule = replace(schedule, progress=after(schedule, minute, "s@0"))
    assert schedule.progress.skipped == 4
    for minute in range(5, 8):
        decided = replace(after(schedule, minute), starting=())
        schedule = replace(schedule, progress=decided)
    assert schedule.progress.runs == 2
    assert schedule.progress.next_time is None
    assert decides_at(schedule) is None


@pytest.mark.parametrize(("catch_up", "runs", "missed"), [("ALL", 9, 0), ("LAST", 1, 8)])
def test_what_was_missed_is_made_up_for(catch_up: str, runs: int, missed: int) -> None:
    schedule = a_schedule(overlap=Overlap.ALLOW, catch_up=CatchUp(catch_up))
    progress = after(schedule, 9.5)
    assert (progress.runs, progress.missed) == (runs, missed)
    assert progress.starting[-1:] == at(9)


def test_a_step_is_bounded_and_the_next_goes_on() -> None:
    for overlap in (Overlap.ALLOW, Overlap.BUFFER_ALL, Overlap.SKIP):
        schedule = a_schedule(overlap=overlap, catch_up=CatchUp.ALL)
        progress = after(schedule, 10_000)
        assert len(progress.starting) < 2 * STARTING_MAX
        assert len(progress.waiting) < 2 * WAITING_MAX
        assert progress.next_time is not None
        assert progress.next_time <= START + 10_000 * MINUTE


def test_with_no_room_to_wait_nothing_is_decided_and_nothing_lost() -> None:
    schedule = with_waiting(Overlap.BUFFER_ALL, *range(-WAITING_MAX, 0))
    assert decide(schedule, active=["s@0"], now=START + MINUTE) is None
    progress = after(schedule, 1)
    assert progress.starting == at(-WAITING_MAX)
    assert progress.waiting[-1:] == at(1)


def test_of_the_paused_nothing_is_decided() -> None:
    schedule = replace(with_waiting(Overlap.BUFFER_ALL, -1), is_paused=True)
    assert decide(schedule, active=(), now=START + MINUTE) is None


@given(
    overlap=st.sampled_from(Overlap),
    catch_up=st.sampled_from(CatchUp),
    max_runs=st.none() | st.integers(1, 8),
    steps=st.lists(st.tuples(st.integers(1, 400), st.booleans()), min_size=1, max_size=20),
)
def test_every_time_is_decided_once_and_counted(
    overlap: Overlap, catch_up: CatchUp, max_runs: int | None, steps: list[tuple[int, bool]]
) -> None:
    """However often it is looked at, and whatever runs meanwhile."""
    schedule = a_schedule(overlap=overlap, catch_up=catch_up, max_runs=max_runs)
    started: list[datetime] = []
    now = START
    for seconds, is_busy in steps:
        now += seconds * SECOND
        decided = decide(schedule, active=["s@0"] if is_busy else [], now=now)
        if decided is None:
            continue
        assert decided.step == schedule.progress.step + 1
        started += decided.starting
        schedule = replace(schedule, progress=replace(decided, starting=(), aborting=()))
    progress = schedule.progress
    assert started == sorted(set(started))
    assert not set(started) & set(progress.waiting)
    assert len(started) + len(progress.waiting) == progress.runs
    if max_runs is None:
        decided_times = (progress.planned_until - START) // MINUTE
        assert progress.runs + progress.skipped + progress.missed == decided_times
        assert progress.next_time == START + (decided_times + 1) * MINUTE
    else:
        assert progress.runs <= max_runs
