"""From schedules to instances: the same decisions on every node, and nothing planned twice."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from later_core.model.instance import NewInstance
from later_core.model.planning import (
    IN_TIME,
    OverlapAction,
    execution_time,
    instance_id,
    new_instance,
    on_overlap,
    plan,
    preview,
    progress_from,
)
from later_core.model.recurrence.rules import CronRule, IntervalRule, TimesRule
from later_core.model.schedule import CatchUp, Overlap, Progress, Schedule, ScheduleSpec

NOW = datetime(2026, 3, 29, 9, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
MILLISECOND = timedelta(milliseconds=1)
HOURLY = ScheduleSpec(
    template=NewInstance(task="echo", parameters=b"x"), rules=(IntervalRule(every=HOUR),)
)

#: Of the proto: what CreateInstanceRequest.id may be.
ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@/+=-]*")
ids = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._:@/+=-]{0,99}", fullmatch=True)
nominals = st.integers(0, 10**13).map(
    lambda ms: datetime(1970, 1, 1, tzinfo=UTC) + ms * MILLISECOND
)


def schedule(spec: ScheduleSpec = HOURLY, since: datetime = NOW, **progress: int) -> Schedule:
    return Schedule(
        id="backup",
        spec=spec,
        progress=replace(progress_from(spec, since), **progress),
        create_time=since,
        update_time=since,
    )


def walk(
    planned: Schedule, nows: list[datetime], limit: int, ahead: timedelta
) -> tuple[list[datetime], Progress]:
    """A planner that comes by at these times, and each time works in steps until all is planned."""
    times: list[datetime] = []
    for now in nows:
        is_complete = False
        while not is_complete:
            step = plan(planned, now=now, until=now + ahead, limit=limit)
            assert len(step.times) <= limit
            times += step.times
            planned, is_complete = replace(planned, progress=step.progress), step.is_complete
    return times, planned.progress


def test_ids_never_change_since_they_stand_in_the_database() -> None:
    assert instance_id("backup", NOW) == "backup@20260329T090000Z"
    assert instance_id("a/b", NOW + 7 * MILLISECOND) == "a/b@20260329T090000.007Z"


@given(id=ids, nominal=nominals)
def test_every_id_is_one_that_an_instance_may_have(id: str, nominal: datetime) -> None:
    made = instance_id(id, nominal)
    assert ID.fullmatch(made)
    assert len(made) <= 128


@given(one=st.tuples(ids, nominals), other=st.tuples(ids, nominals))
def test_two_times_or_two_schedules_never_share_an_id(
    one: tuple[str, datetime], other: tuple[str, datetime]
) -> None:
    assert (instance_id(*one) == instance_id(*other)) == (one == other)


@given(id=ids, nominal=nominals, jitter=st.integers(0, 10**8))
def test_jitter_is_bounded_and_the_same_each_time(id: str, nominal: datetime, jitter: int) -> None:
    due = execution_time(id, nominal, jitter * MILLISECOND)
    assert nominal <= due <= nominal + jitter * MILLISECOND
    assert due.microsecond % 1000 == 0
    assert due == execution_time(id, nominal, jitter * MILLISECOND)


def test_jitter_spreads_schedules_evenly_and_never_changes() -> None:
    shares = [(execution_time(f"s{n}", NOW, HOUR) - NOW) / HOUR for n in range(10_000)]
    assert [
        sum(tenth / 10 <= share < (tenth + 1) / 10 for share in shares) for tenth in range(10)
    ] == (pytest.approx([1000] * 10, rel=0.15))
    assert execution_time("backup", NOW, HOUR) == NOW + timedelta(seconds=3502, milliseconds=92)
    assert {execution_time(f"s{n}", NOW, MILLISECOND) for n in range(50)} == {
        NOW,
        NOW + MILLISECOND,
    }


def test_an_instance_is_the_template_at_its_time() -> None:
    spec = replace(HOURLY, jitter=HOUR)
    made = new_instance("backup", spec, NOW)
    assert made == replace(
        spec.template,
        id="backup@20260329T090000Z",
        execution_time=execution_time("backup", NOW, HOUR),
    )


specs = st.builds(
    ScheduleSpec,
    template=st.just(HOURLY.template),
    rules=st.sampled_from(
        [
            (CronRule(expression="*/7 * * * *"), IntervalRule(every=timedelta(minutes=11))),
            (CronRule(expression="30 2 * * *"),),
            (IntervalRule(every=timedelta(seconds=97)),),
            (TimesRule(times=(NOW + HOUR, NOW + 2 * HOUR)),),
        ]
    ),
    exclusions=st.sampled_from([(), (IntervalRule(every=HOUR),)]),
    time_zone=st.sampled_from(["UTC", "Europe/Paris"]),
    end_time=st.none() | st.integers(1, 50_000_000).map(lambda ms: NOW + ms * MILLISECOND),
    max_runs=st.none() | st.integers(0, 50),
    catch_up=st.just(CatchUp.ALL),
)
steps = st.lists(st.integers(0, 36_000_000), min_size=1, max_size=6)


@given(spec=specs, waits=steps, limit=st.integers(1, 40), ahead=st.integers(0, 3_600_000))
def test_what_a_planner_fires_in_steps_is_what_the_preview_says(
    spec: ScheduleSpec, waits: list[int], limit: int, ahead: int
) -> None:
    nows = [NOW + sum(waits[: n + 1]) * MILLISECOND for n in range(len(waits))]
    fired, progress = walk(schedule(spec), nows, limit, ahead * MILLISECOND)
    end = nows[-1] + ahead * MILLISECOND
    assert fired == due_until(spec, end)
    assert progress.runs == len(fired)
    assert progress.missed == 0
    assert progress.planned_until == max(end, NOW)
    if spec.max_runs is not None:
        assert len(fired) <= spec.max_runs
    if spec.end_time is not None:
        assert all(time < spec.end_time for time in fired)


def due_until(spec: ScheduleSpec, end: datetime) -> list[datetime]:
    times = []
    for time in preview(spec, NOW):
        if time > end:
            break
        times.append(time)
    return times


@given(spec=specs, waits=steps, limit=st.integers(1, 40), catch_up=st.sampled_from(CatchUp))
def test_every_time_is_planned_or_counted_as_missed(
    spec: ScheduleSpec, waits: list[int], limit: int, catch_up: CatchUp
) -> None:
    spec = replace(spec, catch_up=catch_up, max_runs=None)
    nows = [NOW + sum(waits[: n + 1]) * MILLISECOND for n in range(len(waits))]
    fired, progress = walk(schedule(spec), nows, limit, timedelta(0))
    assert progress.runs == len(fired)
    assert progress.runs + progress.missed == len(due_until(spec, nows[-1]))
    assert sorted(set(fired)) == fired


@given(spec=specs, wait=st.integers(0, 36_000_000))
def test_before_next_time_there_is_nothing_to_plan(spec: ScheduleSpec, wait: int) -> None:
    _, progress = walk(schedule(spec), [NOW + wait * MILLISECOND], 10, MINUTE)
    following = next(preview(spec, progress.planned_until, progress.runs), None)
    assert progress.next_time == following


@pytest.mark.parametrize(
    ("catch_up", "window", "hours", "missed"),
    [
        (CatchUp.ALL, None, [1, 2, 3, 4, 5], 0),
        (CatchUp.LAST, None, [5], 4),
        (CatchUp.NONE, None, [], 5),
        (CatchUp.ALL, 3 * HOUR, [3, 4, 5], 2),
        (CatchUp.LAST, 10 * MINUTE, [], 5),
        (CatchUp.LAST, 3 * HOUR, [5], 4),
    ],
)
@pytest.mark.parametrize("limit", [1, 2, 100])
def test_after_an_outage_what_was_missed_is_made_up_for_by_the_policy(
    catch_up: CatchUp, window: timedelta | None, hours: list[int], missed: int, limit: int
) -> None:
    spec = replace(HOURLY, catch_up=catch_up, catchup_window=window)
    back = NOW + 5 * HOUR + 30 * MINUTE
    fired, progress = walk(schedule(spec), [back], limit, timedelta(0))
    assert fired == [NOW + hour * HOUR for hour in hours]
    assert (progress.missed, progress.runs) == (missed, len(hours))
    assert progress.next_time == NOW + 6 * HOUR


def test_a_busy_planner_is_no_outage() -> None:
    spec = replace(HOURLY, catch_up=CatchUp.NONE)
    assert walk(schedule(spec), [NOW + HOUR + IN_TIME], 9, timedelta(0))[0] == [NOW + HOUR]
    assert walk(schedule(spec), [NOW + HOUR + IN_TIME + MILLISECOND], 9, timedelta(0))[0] == []


def test_a_run_in_time_does_what_the_missed_ones_would_have_done() -> None:
    # Back ten seconds after the hour: the run of this hour, and not also that of the last.
    back = NOW + 3 * HOUR + timedelta(seconds=10)
    assert walk(schedule(HOURLY), [back], 9, timedelta(0))[0] == [NOW + 3 * HOUR]


def test_times_ahead_are_not_missed_and_do_not_make_up_for_what_is() -> None:
    back = NOW + 2 * HOUR + 30 * MINUTE
    assert walk(schedule(HOURLY), [back], 9, HOUR)[0] == [NOW + 2 * HOUR, NOW + 3 * HOUR]


def test_after_the_last_run_nothing_is_missed_and_nothing_follows() -> None:
    spec = replace(HOURLY, max_runs=2, catch_up=CatchUp.ALL)
    fired, progress = walk(schedule(spec), [NOW + 9 * HOUR], 100, timedelta(0))
    assert fired == [NOW + HOUR, NOW + 2 * HOUR]
    assert (progress.runs, progress.missed, progress.next_time) == (2, 0, None)
    assert (
        plan(schedule(spec, runs=2), now=NOW + 9 * HOUR, until=NOW + 9 * HOUR, limit=9).times == ()
    )


def test_a_day_of_excluded_seconds_is_planned_in_bounded_steps() -> None:
    every_second = CronRule(expression="* * * * * *")
    spec = replace(
        HOURLY, rules=(every_second,), exclusions=(CronRule(expression="* * 9-23 * * *"),)
    )
    step = plan(schedule(spec, NOW), now=NOW + 14 * HOUR, until=NOW + 14 * HOUR, limit=9)
    assert step.times == ()
    assert not step.is_complete
    assert step.progress.planned_until == NOW + timedelta(seconds=50_000) + timedelta(
        milliseconds=999
    )
    rest = plan(
        replace(schedule(spec), progress=step.progress), now=NOW, until=NOW + 14 * HOUR, limit=9
    )
    assert rest.is_complete
    assert rest.progress.next_time == NOW + 15 * HOUR


def test_a_changed_or_resumed_schedule_begins_at_its_own_now() -> None:
    before = Progress(planned_until=NOW - 99 * HOUR, next_time=None, runs=3, missed=4)
    assert progress_from(HOURLY, NOW, before) == Progress(
        planned_until=NOW, next_time=NOW + HOUR, runs=3, missed=4, step=1
    )


@pytest.mark.parametrize(
    ("policy", "alone", "running", "running_and_waiting"),
    [
        (Overlap.SKIP, "START", "SKIP", "SKIP"),
        (Overlap.BUFFER_ONE, "START", "WAIT", "SKIP"),
        (Overlap.BUFFER_ALL, "START", "WAIT", "WAIT"),
        (Overlap.ABORT_RUNNING, "START", "ABORT_AND_START", "ABORT_AND_START"),
        (Overlap.ALLOW, "START", "START", "START"),
    ],
)
def test_what_becomes_of_a_run_while_another_has_not_ended(
    policy: Overlap, alone: str, running: str, running_and_waiting: str
) -> None:
    assert on_overlap(policy, running=0, waiting=0) is OverlapAction(alone)
    assert on_overlap(policy, running=1, waiting=0) is OverlapAction(running)
    assert on_overlap(policy, running=1, waiting=1) is OverlapAction(running_and_waiting)


def test_an_etag_changes_with_each_revision_and_is_never_that_of_an_earlier_schedule() -> None:
    one = schedule()
    tags = {
        one.etag,
        replace(one, revision=2).etag,
        replace(one, create_time=NOW + MILLISECOND).etag,
    }
    assert len(tags) == 3
    moved = replace(one.progress, runs=9)
    assert replace(one, progress=moved).etag == one.etag
