"""Durations as people write them."""

import contextlib
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from later_core.model.duration import format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("300", 300),
        ("0", 0),
        ("0.5", 0.5),
        ("300ms", 0.3),
        ("5m", 300),
        ("1h30m", 5400),
        ("1h 30m", 5400),
        ("1.5h", 5400),
        ("7d", 604800),
        ("2w", 1209600),
        ("5M", 300),
        ("PT5M", 300),
        ("P7D", 604800),
        ("P1DT2H3M4.5S", 93784.5),
        ("pt0.25s", 0.25),
        ("P1W", 604800),
    ],
)
def test_every_way_to_write_a_duration(text: str, seconds: float) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "-5",
        "soon",
        "5x",
        "m",
        "5m3",
        "P",
        "PT",
        "P1Y",
        "P1M",
        "P1DT",
        "1e3",
        "٣",
        "9" * 60,
        "1" * 99,
    ],
)
def test_what_is_no_duration_is_refused_with_the_ways_to_write_one(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a duration; write 300 \(seconds\), 5m"):
        parse_duration(text)


@given(st.integers(min_value=0, max_value=10**13))
def test_a_written_duration_reads_back(millis: int) -> None:
    duration = timedelta(milliseconds=millis)
    assert parse_duration(format_duration(duration)) == duration


@given(st.text(max_size=80))
def test_any_text_is_a_duration_or_a_value_error(text: str) -> None:
    with contextlib.suppress(ValueError):
        assert parse_duration(text) >= timedelta(0)
