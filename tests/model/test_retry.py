"""The arithmetic of retries."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from later_core.model.limits import DURATION_MAX, MAX_ATTEMPTS
from later_core.model.retry import NO_RETRY, RetryPolicy, draw

durations = st.timedeltas(min_value=timedelta(), max_value=DURATION_MAX)
attempts = st.integers(min_value=1, max_value=2 * MAX_ATTEMPTS)
policies = st.builds(
    RetryPolicy,
    max_attempts=st.integers(min_value=1, max_value=MAX_ATTEMPTS),
    min_backoff=durations,
    max_backoff=durations,
    multiplier=st.floats(min_value=1, max_value=100),
    jitter=st.floats(min_value=0, max_value=1),
)


@given(policies, attempts)
def test_a_backoff_is_never_longer_than_the_longest(policy: RetryPolicy, attempt: int) -> None:
    assert timedelta() <= policy.backoff(attempt) <= policy.max_backoff


@given(policies, attempts)
def test_a_backoff_is_never_shorter_than_the_one_before(policy: RetryPolicy, attempt: int) -> None:
    assert policy.backoff(attempt) <= policy.backoff(attempt + 1)


@given(policies)
def test_the_first_backoff_is_the_shortest(policy: RetryPolicy) -> None:
    assert policy.backoff(1) == min(policy.min_backoff, policy.max_backoff)


@given(policies, st.integers(min_value=1, max_value=50))
def test_a_backoff_grows_by_the_multiplier(policy: RetryPolicy, attempt: int) -> None:
    seconds = policy.min_backoff.total_seconds() * policy.multiplier ** (attempt - 1)
    expected = min(seconds, policy.max_backoff.total_seconds())
    assert math.isclose(
        policy.backoff(attempt).total_seconds(), expected, rel_tol=1e-9, abs_tol=2e-6
    )


drawn = st.floats(min_value=0, max_value=1)


@given(policies, attempts)
def test_a_final_reason_allows_no_other_attempt(policy: RetryPolicy, attempt: int) -> None:
    strict = replace(policy, final_reasons=("GONE", "REFUSED"))
    assert not strict.allows_another(attempt, "GONE")
    assert strict.allows_another(attempt, "BUSY") == policy.allows_another(attempt, "GONE")


@given(policies, attempts, drawn)
def test_jitter_takes_off_no_more_than_its_share(
    policy: RetryPolicy, attempt: int, drawn: float
) -> None:
    longest = policy.backoff(attempt)
    assert longest - longest * policy.jitter <= policy.backoff(attempt, drawn) <= longest


@given(policies, attempts, drawn, drawn)
def test_the_more_is_drawn_the_shorter_is_the_wait(
    policy: RetryPolicy, attempt: int, one: float, other: float
) -> None:
    less, more = sorted((one, other))
    assert policy.backoff(attempt, more) <= policy.backoff(attempt, less)


@given(policies, attempts, drawn)
def test_without_jitter_nothing_is_left_to_chance(
    policy: RetryPolicy, attempt: int, drawn: float
) -> None:
    exact = replace(policy, jitter=0)
    assert exact.backoff(attempt, drawn) == exact.backoff(attempt)


@given(st.text(), attempts)
def test_an_attempt_draws_the_same_each_time(id: str, attempt: int) -> None:
    assert 0 <= draw(id, attempt) < 1
    assert draw(id, attempt) == draw(id, attempt)


def test_what_is_drawn_does_not_change_from_version_to_version() -> None:
    assert [round(draw("a", attempt), 4) for attempt in (1, 2, 3)] == [0.1642, 0.8977, 0.3245]


def test_draws_are_spread_evenly_over_instances_and_over_attempts() -> None:
    for draws in (
        [draw(f"instance-{number}", 1) for number in range(10_000)],
        [draw("instance", attempt) for attempt in range(10_000)],
    ):
        # Each tenth gets its 1,000: six standard deviations either way.
        tenths = Counter(int(drawn * 10) for drawn in draws)
        assert all(820 < tenths[tenth] < 1_180 for tenth in range(10))


@given(policies)
def test_so_many_attempts_are_made_and_no_more(policy: RetryPolicy) -> None:
    made = 1
    while policy.allows_another(made):
        made += 1
    assert made == policy.max_attempts


def test_without_a_policy_one_attempt_is_all() -> None:
    assert not NO_RETRY.allows_another(1)


def test_the_default_backoffs_are_the_documented_ones() -> None:
    policy = RetryPolicy(max_attempts=100)
    assert [policy.backoff(n).total_seconds() for n in (1, 2, 3, 12, 13, 99)] == [
        1,
        2,
        4,
        2048,
        3600,
        3600,
    ]
