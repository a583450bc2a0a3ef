from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.harness.statistics import (
    correctness,
    in_words,
    of_lateness,
    quantile,
    ratios,
    significant,
    spread,
    together,
)

VALUES = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=50).map(sorted)


@given(values=VALUES, share=st.floats(0.001, 1))
def test_a_quantile_is_one_of_the_values_and_enough_do_not_exceed_it(
    values: list[float], share: float
):
    found = quantile(values, share)
    assert found in values
    assert sum(value <= found for value in values) >= share * len(values) - 1e-9
    assert sum(value < found for value in values) < share * len(values) + 1e-9


def test_quantiles_of_a_hundred():
    values = list(range(1, 101))
    assert (quantile(values, 0.5), quantile(values, 0.99), quantile(values, 1)) == (50, 99, 100)


def test_a_quantile_of_nothing_is_refused():
    with pytest.raises(ValueError, match="no values"):
        quantile([], 0.5)


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.012345, 0.0123), (1.2345, 1.23), (123456.7, 123457), (0, 0), (float("inf"), float("inf"))],
)
def test_figures_keep_the_digits_that_mean_something(value: float, shown: float):
    assert significant(value) == shown


def test_a_spread_has_the_runs_in_their_order():
    assert spread([3.0, 1.0, 2.0]) == {"median": 2, "low": 1, "high": 3, "runs": [3, 1, 2]}


def test_lateness_is_summed_up():
    summed = of_lateness(n / 10 for n in reversed(range(1, 1001)))
    assert summed == {"count": 1000, "p50_ms": 50, "p99_ms": 99, "p999_ms": 99.9, "max_ms": 100}


def test_what_is_lost_twice_and_early_is_counted():
    counted = correctness(["a", "b", "c"], ["a", "a", "a", "b"], [0.0, -0.001, 5.0])
    assert counted == {"lost": 1, "twice": 2, "early": 1}


def test_counts_add_up_and_an_open_question_stays_open():
    total = together([{"lost": 1, "twice": 0, "early": None}, {"lost": 2, "twice": 1, "early": 0}])
    assert total == {"lost": 3, "twice": 1, "early": None}


def test_ratios_are_of_runs_side_by_side():
    assert ratios([1, 9], [2, 3]) == [0.5, 3]


def test_values_in_words():
    words = in_words({"a": spread([1.0, 3.0]), "b": 0.5, "c": "as it is"})
    assert words == {"a": "2 (1 to 3)", "b": "0.5", "c": "as it is"}
