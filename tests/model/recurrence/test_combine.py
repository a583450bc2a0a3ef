"""Any rules, any exclusions: strictly increasing, nothing twice, nothing left out."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import islice, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from later_core.errors import InvalidRequest
from later_core.model.recurrence.combine import Recurrence, recurrence
from later_core.model.recurrence.rules import (
    CalendarRule,
    CronRule,
    ExcludedDates,
    Exclusion,
    IntervalRule,
    Rule,
    TimesRule,
)
from later_core.model.recurrence.zones import time_zone

START = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
MILLISECOND = timedelta(milliseconds=1)

zones = st.sampled_from(
    [
        "UTC",
        "Europe/Paris",
        "America/New_York",
        "Australia/Lord_Howe",
        "America/Havana",
        "Asia/Kathmandu",
    ]
)
instants = st.integers(0, 3 * 365 * 86_400_000).map(lambda ms: START + ms * MILLISECOND)
crons = st.builds(
    CronRule,
    expression=st.sampled_from(
        [
            "*/10 * * * *",
            "30 2 * * *",
            "0 0 * * *",
            "0 9-17 * * MON-FRI",
            "*/40 5 1 * * *",
            "0 0 L * *",
            "15 1,2 * * 7",
        ]
    ),
    time_zone=st.none() | zones,
)
intervals = st.builds(
    IntervalRule,
    every=st.sampled_from(
        [10 * HOUR, HOUR, timedelta(seconds=2701), timedelta(milliseconds=1_234_567)]
    ),
    anchor=instants,
)
calendars = st.builds(
    CalendarRule,
    rrule=st.sampled_from(
        [
            "FREQ=DAILY;BYHOUR=2;BYMINUTE=30",
            "FREQ=HOURLY;INTERVAL=5",
            "FREQ=MONTHLY;BYDAY=-1FR",
            "FREQ=WEEKLY;COUNT=9",
        ]
    ),
    dtstart=instants.map(lambda at: at.replace(microsecond=0)),
)
listed = st.builds(TimesRule, times=st.lists(instants, min_size=1, max_size=20).map(tuple))
rules: st.SearchStrategy[Rule] = st.one_of(crons, intervals, calendars, listed)
dates = st.builds(
    ExcludedDates,
    dates=st.lists(
        st.integers(0, 1100).map(lambda n: (START + n * DAY).date()), min_size=1, max_size=99
    ).map(tuple),
    time_zone=st.none() | zones,
)


@st.composite
def recurrences(draw: st.DrawFn) -> Recurrence:
    end = draw(st.none() | instants)
    start = draw(st.none() | instants)
    if start and end and start >= end:
        start, end = end, start + MILLISECOND
    exclusions: list[Exclusion] = draw(st.lists(st.one_of(rules, dates), max_size=3))
    chosen = draw(st.lists(rules, min_size=1, max_size=3))
    return recurrence(tuple(chosen), tuple(exclusions), draw(zones), start, end)


@given(recurrence=recurrences(), at=instants)
def test_times_strictly_increase_in_utc_and_whole_milliseconds(
    recurrence: Recurrence, at: datetime
) -> None:
    found = list(islice(recurrence.between(at, at + 5 * DAY), 200))
    assert all(earlier < later for earlier, later in pairwise(found))
    assert all(at <= time < at + 5 * DAY for time in found)
    assert all(time.microsecond % 1000 == 0 and time.utcoffset() == timedelta(0) for time in found)


@given(recurrence=recurrences(), at=instants)
def test_asking_for_the_next_again_and_again_is_the_same_as_asking_for_a_range(
    recurrence: Recurrence, at: datetime
) -> None:
    in_range = list(islice(recurrence.between(at, at + 5 * DAY), 30))
    one_by_one, now = [], at - MILLISECOND
    while len(one_by_one) < len(in_range) and (following := recurrence.next_after(now)) is not None:
        one_by_one.append(following)
        now = following
    assert one_by_one == in_range


@given(
    recurrence=recurrences(),
    at=instants,
    cuts=st.lists(st.integers(0, 3 * 86_400_000), max_size=5),
)
def test_a_range_in_pieces_has_the_same_times(
    recurrence: Recurrence, at: datetime, cuts: list[int]
) -> None:
    edges = [at, *(at + cut * MILLISECOND for cut in sorted(cuts)), at + 3 * DAY]
    pieces = [time for start, end in pairwise(edges) for time in recurrence.between(start, end)]
    assert pieces == list(recurrence.between(at, at + 3 * DAY))


@settings(max_examples=50)
@given(
    rule=rules,
    at=instants,
    exclusions=st.lists(st.one_of(rules, dates), min_size=1, max_size=2),
    zone=zones,
)
def test_what_is_excluded_is_left_out_and_nothing_else(
    rule: Rule, at: datetime, exclusions: list[Exclusion], zone: str
) -> None:
    everything = set(recurrence((rule,), (), zone).between(at, at + 3 * DAY))
    excluded = set()
    for exclusion in exclusions:
        if isinstance(exclusion, ExcludedDates):
            clock = time_zone(exclusion.time_zone or zone)
            excluded |= {t for t in everything if t.astimezone(clock).date() in exclusion.dates}
        else:
            excluded |= set(recurrence((exclusion,), (), zone).between(at, at + 3 * DAY))
    found = list(recurrence((rule,), tuple(exclusions), zone).between(at, at + 3 * DAY))
    assert found == sorted(everything - excluded)


@given(recurrence=recurrences(), instant=instants, micros=st.integers(1, 999))
def test_between_two_milliseconds_nothing_is_lost(
    recurrence: Recurrence, instant: datetime, micros: int
) -> None:
    between = instant + timedelta(microseconds=micros)
    found = next(recurrence.between(instant + MILLISECOND, instant + 3 * DAY), None)
    assert next(recurrence.between(between, instant + 3 * DAY), None) == found
    if found is not None:
        assert recurrence.next_after(between) == recurrence.next_after(instant) == found


def test_a_time_that_two_rules_name_is_there_once() -> None:
    both = recurrence((CronRule(expression="0 * * * *"), IntervalRule(every=HOUR)))
    assert list(both.between(START, START + 3 * HOUR)) == [START, START + HOUR, START + 2 * HOUR]


def test_start_time_is_inside_and_end_time_outside() -> None:
    bounded = recurrence((IntervalRule(every=HOUR),), (), "UTC", START, START + 2 * HOUR)
    assert bounded.next_after(START - 999 * DAY) == START
    assert list(bounded.between(START - DAY, START + DAY)) == [START, START + HOUR]
    assert bounded.next_after(START + HOUR) is None


def test_whole_days_are_skipped_at_once() -> None:
    holidays = ExcludedDates(dates=tuple((START + n * DAY).date() for n in range(900)))
    every_second = recurrence((CronRule(expression="* * * * * *"),), (holidays,), "Europe/Paris")
    looked_at = list(islice(every_second.candidates(START, START + 901 * DAY), 902))
    assert looked_at[-1] == (START + 900 * DAY - HOUR * 2 + timedelta(seconds=1), True)


def test_the_evening_that_comes_twice_is_excluded_both_times() -> None:
    # In Havana the clock went from 01:00 back to 00:00; in Sao Paulo from midnight back to 23:00.
    day = ExcludedDates(dates=(date(2018, 2, 17),))
    every_half_hour = recurrence(
        (CronRule(expression="*/30 * * * *"),), (day,), "America/Sao_Paulo"
    )
    found = every_half_hour.next_after(datetime(2018, 2, 17, 4, tzinfo=UTC))
    assert found == datetime(2018, 2, 18, 3, tzinfo=UTC)


def test_a_search_where_everything_is_excluded_ends() -> None:
    never = recurrence((CronRule(expression="* * * * *"),), (CronRule(expression="* * * * *"),))
    assert never.next_after(START) is None
    # A whole month of minutes may be excluded, and the search goes on behind it.
    january_off = recurrence(
        (CronRule(expression="* * * * *"),), (CronRule(expression="* * * 1 *"),)
    )
    assert january_off.next_after(START) == datetime(2026, 2, 1, tzinfo=UTC)


def test_every_wrong_field_is_named_at_once() -> None:
    with pytest.raises(InvalidRequest) as refused:
        Recurrence(
            [
                CronRule(expression="61 * * * *"),
                IntervalRule(every=timedelta(0)),
                CalendarRule(rrule="FREQ=DAILY", dtstart=START, time_zone="Nowhere"),
                TimesRule(times=()),
            ],
            [CronRule(expression="@reboot"), ExcludedDates(dates=())],
            zone="Atlantis",
            start_time=START,
            end_time=START,
        )
    assert [violation.field for violation in refused.value.violations] == [
        "time_zone",
        "rules[0].cron.expression",
        "rules[1].interval.every",
        "rules[2].calendar.time_zone",
        "rules[3].times",
        "exclusions[0].cron.expression",
        "exclusions[1].dates",
        "end_time",
    ]


def test_no_rule_and_too_many_rules_are_refused() -> None:
    for count in (0, 33):
        with pytest.raises(InvalidRequest, match="rules: must be 1 to 32"):
            Recurrence([IntervalRule(every=HOUR)] * count)
    with pytest.raises(InvalidRequest, match="exclusions: must be at most 32"):
        Recurrence([IntervalRule(every=HOUR)], [IntervalRule(every=HOUR)] * 33)
