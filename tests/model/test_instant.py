"""Instants are whole milliseconds, and rounding never makes anything early."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from later_core.model.instant import (
    EARLIEST,
    EPOCH,
    LATEST,
    from_millis,
    round_up,
    to_millis,
)

MILLISECOND = timedelta(milliseconds=1)

instants = st.datetimes(
    min_value=EARLIEST.replace(tzinfo=None),
    max_value=LATEST.replace(tzinfo=None),
    timezones=st.just(UTC),
)
zones = st.integers(min_value=-1439, max_value=1439).map(lambda m: timezone(timedelta(minutes=m)))


@given(st.integers(min_value=to_millis(EARLIEST), max_value=to_millis(LATEST)))
def test_milliseconds_come_back_exactly(millis: int) -> None:
    assert to_millis(from_millis(millis)) == millis


@given(instants)
def test_counting_milliseconds_rounds_down(instant: datetime) -> None:
    assert timedelta() <= instant - from_millis(to_millis(instant)) < MILLISECOND


@given(instants)
def test_rounding_up_is_never_early_and_less_than_a_millisecond_late(instant: datetime) -> None:
    rounded = round_up(instant)
    assert timedelta() <= rounded - instant < MILLISECOND
    assert rounded.microsecond % 1000 == 0
    assert round_up(rounded) == rounded


@given(instants, instants)
def test_rounding_keeps_the_order(one: datetime, other: datetime) -> None:
    first, second = sorted((one, other))
    assert round_up(first) <= round_up(second)
    assert to_millis(first) <= to_millis(second)


@given(instants, zones)
def test_an_instant_is_the_same_in_every_zone(instant: datetime, zone: timezone) -> None:
    # A zone can push the ends of the range out of what a datetime can hold; shift them inwards.
    instant = min(max(instant, EARLIEST + timedelta(days=2)), LATEST - timedelta(days=2))
    assert to_millis(instant.astimezone(zone)) == to_millis(instant)
    assert round_up(instant.astimezone(zone)) == round_up(instant)


def test_the_epoch_is_zero() -> None:
    assert to_millis(EPOCH) == 0
    assert from_millis(-1) == EPOCH - MILLISECOND
