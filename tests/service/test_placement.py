"""From what was asked to an instance in time."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from later_core.errors import InvalidRequest
from later_core.model.concurrency import Concurrency
from later_core.model.instance import Delivery, NewInstance
from later_core.model.instant import EPOCH, LATEST
from later_core.model.retry import RetryPolicy
from later_core.service.fingerprints import of_instance
from later_core.service.placement import due_time, place

NOW = datetime(2030, 1, 1, 12, 0, 0, 123_456, tzinfo=UTC)
ASKED = NewInstance(task="t", id="a", parameters=b"p", delay=timedelta(seconds=5))


instants = st.timedeltas(min_value=timedelta(), max_value=LATEST - EPOCH - timedelta(days=1)).map(
    lambda since: EPOCH + since
)


@given(instants)
def test_an_instant_is_never_moved_forward_in_time_to_before_what_was_asked(asked):
    due = due_time(asked, None, now=NOW)
    assert timedelta() <= due - asked < timedelta(milliseconds=1)
    assert due.microsecond % 1000 == 0


def test_a_delay_counts_from_now_and_neither_means_now():
    assert due_time(None, timedelta(seconds=1), now=NOW) == NOW.replace(
        microsecond=124_000, second=1
    )
    assert due_time(None, None, now=NOW) == NOW.replace(microsecond=124_000)


def test_a_delay_beyond_the_calendar_names_its_field():
    with pytest.raises(InvalidRequest) as error:
        due_time(None, timedelta(days=366 * 7000), now=NOW)
    assert error.value.violations[0].field == "delay"


def test_ids_that_the_server_makes_are_unique_and_in_order_of_time():
    ids = [place(NewInstance(task="t"), now=NOW).id for _ in range(1000)]
    assert len(set(ids)) == 1000
    assert [id[:12] for id in ids] == sorted(id[:12] for id in ids)


def test_the_same_content_at_another_moment_has_the_same_fingerprint():
    first, second = place(ASKED, now=NOW), place(ASKED, now=NOW + timedelta(hours=1))
    assert first.fingerprint == second.fingerprint
    assert first.execution_time != second.execution_time


@pytest.mark.parametrize(
    "change",
    [
        {"task": "u"},
        {"parameters": b"q"},
        {"delay": timedelta(seconds=6)},
        {"delay": None, "execution_time": NOW},
        {"retry": RetryPolicy(max_attempts=2)},
        {"timeout": timedelta(seconds=1)},
        {"start_deadline": timedelta(seconds=1)},
        {"delivery": Delivery.AT_MOST_ONCE},
        {"labels": {"a": "b"}},
        {"concurrency": Concurrency(key="a", limit=1)},
        {"priority": 1},
    ],
    ids="+".join,
)
def test_other_content_has_another_fingerprint(change):
    assert of_instance(replace(ASKED, **change)) != of_instance(ASKED)


def test_the_order_of_labels_is_not_content():
    one = replace(ASKED, labels={"a": "1", "b": "2"})
    other = replace(ASKED, labels={"b": "2", "a": "1"})
    assert of_instance(one) == of_instance(other)
