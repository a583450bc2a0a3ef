"""Reads ask for about a page by weight, whatever the records weigh."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from later_core.model.limits import RESPONSE_MAX_BYTES
from later_core.stores.mongo.portion import Portion

MOST = 1000


@given(st.lists(st.integers(0, 2 * 1024 * 1024), min_size=1, max_size=50))
def test_after_records_of_one_weight_no_more_than_a_page_of_them_is_asked_for(weights):
    portion = Portion(first=8, most=MOST)
    for weight in weights:
        portion.learn(portion.size, portion.size * weight)
        assert 1 <= portion.size <= MOST
        assert portion.size == 1 or portion.size * weight <= RESPONSE_MAX_BYTES


def test_it_soon_asks_for_many_that_are_light():
    portion, reads = Portion(first=8, most=MOST), 0
    while portion.size < MOST:
        portion.learn(portion.size, portion.size * 100)
        reads += 1
    assert reads == 3


def test_a_read_that_brings_nothing_teaches_nothing():
    portion = Portion(first=8, most=MOST)
    portion.learn(0, 0)
    assert portion.size == 8
