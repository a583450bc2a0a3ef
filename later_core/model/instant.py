"""Instants: UTC, to the millisecond, as MongoDB keeps them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)

#: The range of google.protobuf.Timestamp is 0001 to 9999; what can be scheduled is narrower, so
#: that adding a timeout or a backoff to any instant stays inside what a datetime can hold.
EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
LATEST = datetime(9000, 1, 1, tzinfo=UTC)


def to_millis(instant: datetime) -> int:
    """Milliseconds since the Unix epoch, rounded down."""
    return (instant - EPOCH) // _MILLISECOND


def from_millis(millis: int) -> datetime:
    """The instant that many milliseconds after the Unix epoch."""
    return EPOCH + millis * _MILLISECOND


def round_up(instant: datetime) -> datetime:
    """The same instant or the next whole millisecond: rounding down would start work early."""
    excess = instant.microsecond % 1000
    return instant + timedelta(microseconds=1000 - excess) if excess else instant
