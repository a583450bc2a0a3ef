"""Instants and spans of time on the wire: protobuf's Timestamp and Duration <-> datetime and timedelta.

Later counts in whole milliseconds (``model.instant``). What is finer is rounded up, since rounding
down would start work early. protobuf allows values that mean nothing (nanoseconds of the other sign,
years that do not exist): those are wrong fields, never exceptions.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from later_core.errors import InvalidRequest
from later_core.model.instant import EPOCH, from_millis, to_millis

_NANOS_PER_MILLI = 1_000_000
_NANOS_PER_SECOND = 1_000_000_000
_SECONDS_PER_DAY = 86_400

#: What both a Timestamp and a datetime can hold, in seconds since the Unix epoch. The last second
#: of the year 9999 is left out, so that rounding up stays inside.
_FIRST_SECOND = to_millis(datetime(1, 1, 1, tzinfo=UTC)) // 1000
_LAST_SECOND = to_millis(datetime(9999, 12, 31, 23, 59, 58, tzinfo=UTC)) // 1000

#: What a Duration may hold by its own definition: 10,000 years.
_LONGEST_SECONDS = 315_576_000_000


def to_timestamp(instant: datetime) -> Timestamp:
    """An instant of Later on the wire (whole milliseconds; what is finer is cut off)."""
    timestamp = Timestamp()
    fill_timestamp(timestamp, instant)
    return timestamp


def fill_timestamp(timestamp: Timestamp, instant: datetime) -> None:
    """Write an instant into an empty message that is part of a larger one."""
    since = instant - EPOCH
    timestamp.seconds = since.days * _SECONDS_PER_DAY + since.seconds
    timestamp.nanos = since.microseconds // 1000 * _NANOS_PER_MILLI


def from_timestamp(timestamp: Timestamp, field: str) -> datetime:
    """The instant, UTC, rounded up to the millisecond.

    Raises:
        InvalidRequest: there is no such instant; ``field`` is named as the wrong one.

    """
    seconds, nanos = timestamp.seconds, timestamp.nanos
    if not 0 <= nanos < _NANOS_PER_SECOND:
        raise InvalidRequest.of(field, "nanos must be from 0 to 999999999")
    if not _FIRST_SECOND <= seconds <= _LAST_SECOND:
        raise InvalidRequest.of(field, "must be an instant between the years 1 and 9999")
    return from_millis(seconds * 1000 - (-nanos // _NANOS_PER_MILLI))


def to_duration(span: timedelta) -> Duration:
    """A span of time on the wire, to the microsecond; seconds and nanos have the same sign."""
    micros = span // timedelta(microseconds=1)
    seconds, rest = divmod(abs(micros), 1_000_000)
    sign = -1 if micros < 0 else 1
    return Duration(seconds=sign * seconds, nanos=sign * rest * 1000)


def from_duration(duration: Duration, field: str) -> timedelta:
    """The span of time, rounded up to the millisecond.

    Raises:
        InvalidRequest: it is malformed; ``field`` is named as the wrong one.

    """
    seconds, nanos = duration.seconds, duration.nanos
    if not -_NANOS_PER_SECOND < nanos < _NANOS_PER_SECOND:
        raise InvalidRequest.of(field, "nanos must be from -999999999 to 999999999")
    if (seconds < 0 < nanos) or (nanos < 0 < seconds):
        raise InvalidRequest.of(field, "seconds and nanos must have the same sign")
    if not -_LONGEST_SECONDS <= seconds <= _LONGEST_SECONDS:
        raise InvalidRequest.of(field, "must be at most 10,000 years")
    return timedelta(milliseconds=seconds * 1000 - (-nanos // _NANOS_PER_MILLI))


def exact_duration(duration: Duration) -> timedelta:
    """The span of time, to the microsecond, of a Duration that this server sent."""
    return timedelta(seconds=duration.seconds, microseconds=duration.nanos // 1000)
