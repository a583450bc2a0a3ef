"""A filter finds what meets all of its conditions."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from later_core.model.instance import Instance
from later_core.model.query import Filter
from later_core.model.state import State
from later_core.testing.builders import an_instance

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)

tasks = st.sampled_from(["echo", "bash", "mail"])
times = st.integers(min_value=-2, max_value=2).map(lambda s: NOON + timedelta(seconds=s))
labels = st.dictionaries(st.sampled_from("abc"), st.sampled_from("xyz"), max_size=3)
schedules = st.none() | st.sampled_from(["nightly", "hourly"])

instances = st.builds(
    lambda task, time, state, labels, schedule: an_instance(
        execution_time=time, task=task, state=state, labels=labels, schedule_id=schedule
    ),
    tasks,
    times,
    st.sampled_from(State),
    labels,
    schedules,
)
filters = st.builds(
    Filter,
    states=st.frozensets(st.sampled_from(State), max_size=3),
    tasks=st.frozensets(tasks, max_size=2),
    start_time=st.none() | times,
    end_time=st.none() | times,
    labels=labels,
    schedule_id=schedules,
)


@given(instances)
def test_an_empty_filter_finds_everything(instance: Instance) -> None:
    assert Filter().matches(instance)


@given(filters, instances)
def test_a_filter_holds_when_each_of_its_conditions_does(
    filter: Filter, instance: Instance
) -> None:
    conditions = [
        replace(Filter(), **{field.name: getattr(filter, field.name)}) for field in fields(Filter)
    ]
    assert filter.matches(instance) == all(c.matches(instance) for c in conditions)


@given(filters)
def test_a_filter_made_of_an_instance_finds_it(filter: Filter) -> None:
    instance = an_instance(
        execution_time=filter.start_time or NOON,
        labels={**filter.labels, "more": "too"},
        schedule_id=filter.schedule_id,
        task=min(filter.tasks, default="echo"),
        state=min(filter.states, default=State.PENDING),
    )
    assert replace(filter, end_time=None).matches(instance)


@pytest.mark.parametrize(
    ("condition", "is_met"),
    [
        ({"states": frozenset({State.PENDING, State.FAILED})}, True),
        ({"states": frozenset({State.RUNNING})}, False),
        ({"tasks": frozenset({"echo"})}, True),
        ({"tasks": frozenset({"Echo", "ech"})}, False),
        ({"start_time": NOON}, True),
        ({"start_time": NOON + timedelta(milliseconds=1)}, False),
        ({"end_time": NOON + timedelta(milliseconds=1)}, True),
        ({"end_time": NOON}, False),
        ({"labels": {"a": "x"}}, True),
        ({"labels": {"a": "x", "b": ""}}, True),
        ({"labels": {"a": "y"}}, False),
        ({"labels": {"c": ""}}, False),
        ({"schedule_id": "nightly"}, True),
        ({"schedule_id": "hourly"}, False),
    ],
    ids=lambda given: "+".join(given) if isinstance(given, dict) else str(given),
)
def test_each_condition(condition: dict[str, Any], is_met: bool) -> None:
    instance = an_instance(
        execution_time=NOON, labels={"a": "x", "b": ""}, schedule_id="nightly", task="echo"
    )
    assert Filter(**condition).matches(instance) is is_met
