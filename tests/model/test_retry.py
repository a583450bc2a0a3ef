"""The arithmetic of retries."""

from __future__ import annotations

import math
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from later_core.model.limits import DURATION_MAX, MAX_ATTEMPTS
from later_core.model.retry import NO_RETRY, RetryPolicy

durations = st.timedeltas(min_value=timedelta(), max_value=DURATION_MAX)
attempts = st.integers(min_value=1, max_value=2 * MAX_ATTEMPTS)
policies = st.builds(
    RetryPolicy,
    max_attempts=st.integers(min_value=1, max_value=MAX_ATTEMPTS),
    min_backoff=durations,
    max_backoff=durations,
    multiplier=st.floats(min_value=1, max_value=100),
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
