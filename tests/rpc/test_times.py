"""Timestamps and Durations: exact where they can be, rounded up where not, refused where senseless."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from later_core.errors import InvalidRequest
from later_core.model.instant import from_millis
from later_core.rpc.times import (
    exact_duration,
    from_duration,
    from_timestamp,
    to_duration,
    to_timestamp,
)

INT64 = st.integers(-(2**63), 2**63 - 1)
INT32 = st.integers(-(2**31), 2**31 - 1)
MILLIS = st.integers(-62_135_596_800_000, 253_402_300_798_000)


@given(MILLIS)
def test_an_instant_comes_back_as_it_went(millis):
    instant = from_millis(millis)
    assert from_timestamp(to_timestamp(instant), "t") == instant


@given(st.integers(-62_135_596_800, 253_402_300_798), st.integers(0, 999_999_999))
def test_a_timestamp_is_rounded_up_by_less_than_a_millisecond(seconds, nanos):
    instant = from_timestamp(Timestamp(seconds=seconds, nanos=nanos), "t")
    exact = seconds * 1_000_000_000 + nanos
    rounded = to_timestamp(instant).ToNanoseconds()
    assert 0 <= rounded - exact < 1_000_000
    assert instant.microsecond % 1000 == 0


def read(convert, message, field):
    """What was read, and the wrong fields: one of both is empty."""
    try:
        return convert(message, field), []
    except InvalidRequest as error:
        return None, [violation.field for violation in error.violations]


@given(INT64, INT32)
def test_no_timestamp_raises_anything_but_a_named_field(seconds, nanos):
    message = Timestamp(seconds=seconds, nanos=nanos)
    instant, wrong = read(from_timestamp, message, "filter.end_time")
    assert wrong == (["filter.end_time"] if instant is None else [])


@given(INT64, INT32)
def test_no_duration_raises_anything_but_a_named_field(seconds, nanos):
    span, wrong = read(from_duration, Duration(seconds=seconds, nanos=nanos), "delay")
    assert wrong == (["delay"] if span is None else [])
    if span is not None:
        exact = seconds * 1_000_000_000 + nanos
        assert 0 <= span // timedelta(microseconds=1) * 1000 - exact < 1_000_000


@given(st.timedeltas(min_value=timedelta(days=-36_500), max_value=timedelta(days=36_500)))
def test_a_span_comes_back_as_it_went(span):
    message = to_duration(span)
    assert exact_duration(message) == span
    assert message.seconds * message.nanos >= 0


@pytest.mark.parametrize(
    ("seconds", "nanos"),
    [(1, -1), (-1, 1), (0, 1_000_000_000), (0, -1_000_000_000), (10**12, 0), (-(10**12), 0)],
)
def test_a_malformed_duration_is_refused(seconds, nanos):
    with pytest.raises(InvalidRequest, match=r"^delay: "):
        from_duration(Duration(seconds=seconds, nanos=nanos), "delay")


@pytest.mark.parametrize(
    ("seconds", "nanos"), [(0, -1), (0, 1_000_000_000), (253_402_300_800, 0), (-62_135_596_801, 0)]
)
def test_a_malformed_timestamp_is_refused(seconds, nanos):
    with pytest.raises(InvalidRequest, match=r"^execution_time: "):
        from_timestamp(Timestamp(seconds=seconds, nanos=nanos), "execution_time")


def test_what_is_finer_than_a_millisecond_is_cut_off_when_it_is_told():
    assert to_timestamp(datetime(2030, 1, 1, microsecond=1999, tzinfo=UTC)).nanos == 1_000_000
