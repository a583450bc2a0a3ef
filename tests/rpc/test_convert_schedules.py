"""Schedules on the wire: what one side sends the other reads, and wrong rules are found by their path."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from later_core.errors import FieldViolation, InvalidRequest
from later_core.model.concurrency import Concurrency
from later_core.model.instance import Delivery, NewInstance
from later_core.model.instant import from_millis
from later_core.model.planning import recurrence_of
from later_core.model.recurrence.rules import (
    CalendarRule,
    CronRule,
    ExcludedDates,
    IntervalRule,
    TimesRule,
)
from later_core.model.retry import RetryPolicy
from later_core.model.schedule import (
    Backfill,
    CatchUp,
    ListedSchedule,
    Overlap,
    Progress,
    Schedule,
    ScheduleFilter,
    ScheduleSpec,
)
from later_core.model.state import State
from later_core.rpc import convert_schedules as convert
from later_core.rpc.convert_rules import in_proto
from later_core.rpc.v1 import later_pb2 as pb
from later_core.rpc.validation import check

NAME = st.from_regex(r"[A-Za-z0-9]{1,20}", fullmatch=True)
TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20)
INSTANT = st.integers(0, 221_845_391_999_999).map(from_millis)
MILLIS = st.integers(1, 3_153_600_000_000).map(lambda millis: timedelta(milliseconds=millis))
LABELS = st.dictionaries(NAME, TEXT, max_size=3)
ZONE = st.sampled_from(["UTC", "Europe/Paris", "Asia/Tokyo", "America/New_York"])
SOMETIMES_ZONE = st.none() | ZONE
RULE = st.one_of(
    st.builds(CronRule, expression=TEXT.filter(bool), time_zone=SOMETIMES_ZONE),
    st.builds(
        IntervalRule,
        every=st.integers(1000, 3_153_600_000_000).map(lambda ms: timedelta(milliseconds=ms)),
        anchor=INSTANT,
    ),
    st.builds(CalendarRule, rrule=TEXT.filter(bool), dtstart=INSTANT, time_zone=SOMETIMES_ZONE),
    st.builds(TimesRule, times=st.lists(INSTANT, min_size=1, max_size=3).map(tuple)),
)
DATES = st.builds(
    ExcludedDates,
    dates=st.lists(st.dates(min_value=date(1970, 1, 1)), min_size=1, max_size=3).map(tuple),
    time_zone=SOMETIMES_ZONE,
)
RANGE = st.one_of(
    st.just((None, None)),
    st.tuples(INSTANT, st.none()),
    st.tuples(st.none(), INSTANT),
    st.tuples(INSTANT, INSTANT).filter(lambda pair: pair[0] != pair[1]).map(sorted),
)
TEMPLATE = st.builds(
    NewInstance,
    task=NAME,
    parameters=st.binary(max_size=50),
    retry=st.builds(RetryPolicy, max_attempts=st.integers(1, 1000)),
    timeout=st.none() | MILLIS,
    start_deadline=st.none() | MILLIS,
    delivery=st.sampled_from(Delivery),
    labels=LABELS,
    concurrency=st.none() | st.builds(Concurrency, key=NAME, limit=st.integers(1, 1000)),
    priority=st.integers(0, 100),
)
SPEC = st.builds(
    lambda bounds, **fields: ScheduleSpec(start_time=bounds[0], end_time=bounds[1], **fields),
    RANGE,
    template=TEMPLATE,
    rules=st.lists(RULE, min_size=1, max_size=3).map(tuple),
    exclusions=st.lists(RULE | DATES, max_size=3).map(tuple),
    time_zone=ZONE,
    max_runs=st.none() | st.integers(1, 2**31 - 1),
    jitter=st.just(timedelta()) | MILLIS,
    overlap=st.sampled_from(Overlap),
    catch_up=st.sampled_from(CatchUp),
    catchup_window=st.none() | MILLIS,
    pause_on_failure=st.booleans(),
)
SCHEDULE = st.builds(
    Schedule,
    id=NAME,
    spec=SPEC,
    progress=st.builds(
        Progress,
        planned_until=INSTANT,
        next_time=st.none() | INSTANT,
        runs=st.integers(0, 2**62),
        missed=st.integers(0, 2**62),
        skipped=st.integers(0, 2**62),
        waiting=st.lists(INSTANT, max_size=3).map(tuple),
    ),
    create_time=INSTANT,
    update_time=INSTANT,
    revision=st.integers(1, 2**62),
    is_paused=st.booleans(),
    pause_note=TEXT,
)
COUNTS = st.fixed_dictionaries({state: st.integers(0, 2**62) for state in State})


def over_the_wire(message):
    return type(message).FromString(message.SerializeToString())


@given(SPEC)
def test_a_spec_comes_back_as_it_went_and_keeps_the_rules(spec):
    message = over_the_wire(convert.to_spec(spec))
    check(pb.CreateScheduleRequest(spec=message))
    assert convert.from_spec(message) == spec


@given(SCHEDULE)
def test_a_schedule_comes_back_as_it_went_with_its_etag(schedule):
    message = over_the_wire(convert.to_schedule(schedule))
    assert convert.from_schedule(message) == schedule
    assert message.etag == schedule.etag


@given(SCHEDULE, COUNTS, st.lists(INSTANT))
def test_what_was_found_out_about_a_schedule_comes_back_too(schedule, counts, times):
    listed = ListedSchedule(schedule=schedule, counts=counts, next_times=tuple(times))
    for message in (pb.ListedSchedule(), pb.GetScheduleResponse()):
        convert.fill_listed(message, listed)
        assert convert.from_listed(over_the_wire(message)) == listed


@given(
    st.builds(
        ScheduleFilter,
        tasks=st.frozensets(NAME, max_size=3),
        labels=LABELS,
        is_paused=st.none() | st.booleans(),
    )
)
def test_a_filter_comes_back_as_it_went(filter):
    message = over_the_wire(convert.to_schedule_filter(filter))
    check(pb.ListSchedulesRequest(filter=message))
    assert convert.from_schedule_filter(message) == filter


@given(
    st.builds(
        Backfill,
        created=st.integers(0, 1000),
        existing=st.integers(0, 1000),
        next_start=st.none() | INSTANT,
    )
)
def test_a_backfill_comes_back_as_it_went(backfill):
    assert convert.from_backfill(over_the_wire(convert.to_backfill(backfill))) == backfill


def test_what_a_spec_leaves_out_takes_the_default():
    message = pb.ScheduleSpec(task="echo")
    message.rules.add().interval.every.seconds = 60
    assert convert.from_spec(message) == ScheduleSpec(
        template=NewInstance(task="echo"),
        rules=(IntervalRule(every=timedelta(minutes=1)),),
    )


@pytest.mark.parametrize(
    ("own", "schedules", "zone"),
    [
        ("", "", "UTC"),
        ("", "Europe/Paris", "Europe/Paris"),
        ("Asia/Tokyo", "Europe/Paris", "Asia/Tokyo"),
    ],
)
def test_a_calendar_rule_counts_from_a_monday_midnight_of_its_zone(own, schedules, zone):
    message = pb.ScheduleSpec(time_zone=schedules)
    message.rules.add().calendar.rrule = "FREQ=WEEKLY"
    message.rules[0].calendar.time_zone = own
    spec = convert.from_spec(message)
    (rule,) = spec.rules
    local = rule.dtstart.astimezone(ZoneInfo(zone))
    assert (local.weekday(), local.day, local.month) == (0, 1, 1)
    assert (local.hour, local.minute, local.second) == (0, 0, 0)
    found = recurrence_of(spec).next_after(datetime(2026, 7, 1, tzinfo=UTC))
    assert found.astimezone(ZoneInfo(zone)).strftime("%a %H:%M") == "Mon 00:00"


def test_paths_of_values_become_paths_of_the_proto():
    paths = {
        "rules[1].cron.expression": "rules[1].cron.expression",
        "rules[10].times": "rules[10].times.times",
        "exclusions[0].times": "exclusions[0].times.times",
        "exclusions[0].dates": "exclusions[0].dates.dates",
        "exclusions[0].time_zone": "exclusions[0].dates.time_zone",
        "time_zone": "time_zone",
    }
    wrong = InvalidRequest([FieldViolation(path, "no") for path in paths])
    assert [violation.field for violation in in_proto(wrong).violations] == list(paths.values())
