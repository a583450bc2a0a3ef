"""Permits: never more than the limit and a burst, whoever asks when; and how rates are written."""

from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from later_core.model.rate import RateLimit, parse_rate, parse_rates, reserve

SECOND = timedelta(seconds=1)
RATES = st.builds(
    RateLimit,
    count=st.integers(1, 2000),
    per=st.integers(1, 60_000).map(lambda n: timedelta(milliseconds=n)),
    burst=st.integers(1, 50),
)
ASKS = st.lists(
    st.tuples(
        st.integers(0, 3_000_000),  # microseconds since the one before
        st.integers(1, 40),
        st.sampled_from([0, 1, 50, 250, 5_000]),
    ),
    min_size=1,
    max_size=40,
)


def granted(rate, asks):
    """When each permit may be used at the earliest, microseconds; asked for in turn."""
    now_us, next_us, usable = 10**15, 0, []
    for pause_us, count, ahead_ms in asks:
        now_us += pause_us
        ahead = timedelta(milliseconds=ahead_ms)
        permits = reserve(rate, next_us=next_us, now_us=now_us, count=count, ahead=ahead)
        assert 0 <= permits.count <= count
        times = [permits.first_us + n * rate.spacing_us for n in range(permits.count)]
        assert all(time <= now_us + ahead_ms * 1000 for time in times)
        assert permits.next_us >= next_us
        usable += [max(time, now_us) for time in times]
        next_us = permits.next_us
    return usable


@given(RATES, ASKS)
def test_in_any_span_there_are_never_more_than_the_limit_and_the_burst(rate, asks):
    usable = sorted(granted(rate, asks))
    per_us = rate.per // timedelta(microseconds=1)
    for n, begin in enumerate(usable):
        within = sum(time < begin + per_us for time in usable[n:])
        assert within <= rate.count + rate.burst


@given(RATES, ASKS)
def test_without_a_burst_no_two_permits_are_closer_than_the_spacing(rate, asks):
    one_by_one = RateLimit(count=rate.count, per=rate.per, burst=1)
    usable = granted(one_by_one, asks)
    assert all(b - a >= one_by_one.spacing_us for a, b in pairwise(usable))


@given(RATES)
def test_whoever_asks_often_enough_gets_all_of_it(rate):
    pause_us = rate.spacing_us
    asks = [(pause_us, 1, 0)] * 50
    assert len(granted(rate, asks)) == 50


@given(RATES, ASKS)
def test_no_more_than_are_allowed_in_one_hand_are_granted_at_once(rate, asks):
    ahead = timedelta(milliseconds=250)
    permits = reserve(rate, next_us=0, now_us=10**15, count=10**6, ahead=ahead)
    assert permits.count == rate.in_hand(ahead)


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("10/s", RateLimit(count=10)),
        ("10/1s", RateLimit(count=10)),
        (" 100 / 5m ", RateLimit(count=100, per=timedelta(minutes=5))),
        ("1/d", RateLimit(count=1, per=timedelta(days=1))),
        ("10/s+5", RateLimit(count=10, burst=5)),
        ("3/100ms + 2", RateLimit(count=3, per=timedelta(milliseconds=100), burst=2)),
    ],
)
def test_a_rate_is_read_as_it_is_written(text, rate):
    assert parse_rate(text) == rate
    assert parse_rate(str(rate)) == rate


@pytest.mark.parametrize(
    "text", ["", "10", "/s", "x/s", "0/s", "-1/s", "10/", "10/0s", "10/2d", "1/s+0", "9999999/s"]
)
def test_what_is_no_rate_is_refused_with_the_way_to_write_one(text):
    with pytest.raises(ValueError, match=r"rate|duration"):
        parse_rate(text)


def test_rates_of_several_tasks_are_told_apart():
    assert parse_rates("") == {}
    assert parse_rates("mail=10/s, a=b=none,") == {"mail": RateLimit(count=10), "a=b": None}
    with pytest.raises(ValueError, match="two rates"):
        parse_rates("mail=1/s,mail=2/s")
    with pytest.raises(ValueError, match="task=rate"):
        parse_rates("10/s")
