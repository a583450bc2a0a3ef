"""Rules of absolute time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from later_core.errors import InvalidRequest
from later_core.model.recurrence.interval import IntervalTimes, Times
from later_core.model.recurrence.rules import IntervalRule, TimesRule

ANCHOR = datetime(2026, 3, 28, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
MILLISECOND = timedelta(milliseconds=1)


def test_an_interval_begins_at_its_anchor() -> None:
    times = IntervalTimes(IntervalRule(every=6 * HOUR, anchor=ANCHOR))
    assert times.after(ANCHOR - 100 * HOUR) == ANCHOR
    assert times.after(ANCHOR - MILLISECOND) == ANCHOR
    assert times.after(ANCHOR) == ANCHOR + 6 * HOUR
    assert times.after(ANCHOR + 7 * HOUR) == ANCHOR + 12 * HOUR


@given(
    every=st.integers(1000, 10**10).map(lambda ms: ms * MILLISECOND),
    instant=st.integers(0, 10**13).map(lambda us: ANCHOR + timedelta(microseconds=us)),
)
def test_intervals_are_elapsed_time_whatever_the_clocks_do(
    every: timedelta, instant: datetime
) -> None:
    found = IntervalTimes(IntervalRule(every=every, anchor=ANCHOR)).after(instant)
    assert found is not None
    assert (found - ANCHOR) % every == timedelta(0)
    assert instant < found <= instant + every


@pytest.mark.parametrize(
    "every",
    [
        timedelta(0),
        -HOUR,
        timedelta(milliseconds=999),
        timedelta(seconds=1, microseconds=1),
        timedelta(days=40_000),
    ],
)
def test_an_interval_too_short_too_long_or_too_fine_is_refused(every: timedelta) -> None:
    with pytest.raises(
        InvalidRequest, match=r"interval\.every: must be whole milliseconds from 1 second"
    ):
        IntervalTimes(IntervalRule(every=every))


def test_single_instants_come_in_order_and_once() -> None:
    first, second = ANCHOR, ANCHOR + timedelta(microseconds=1500)
    times = Times(TimesRule(times=(second, first, second)))
    assert times.after(first - MILLISECOND) == first
    # Rounded up to the millisecond: never early.
    assert times.after(first) == first + 2 * MILLISECOND
    assert times.after(first + 2 * MILLISECOND) is None


def test_no_instants_too_many_and_those_out_of_range_are_refused() -> None:
    for times in ((), (ANCHOR,) * 1001, (datetime(1969, 1, 1, tzinfo=UTC),)):
        with pytest.raises(InvalidRequest, match=r"^times: must"):
            Times(TimesRule(times=times))
