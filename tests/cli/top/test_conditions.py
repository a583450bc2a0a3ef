"""The line that says which instances to list."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from later_core.cli.top.conditions import HINT, parse_conditions
from later_core.model.query import Filter
from later_core.model.state import State

NOW = datetime(2030, 1, 31, 8, 0, tzinfo=UTC)


def test_an_empty_line_lets_everything_through():
    assert parse_conditions("  ", NOW) == Filter()


def test_the_hint_is_a_line_that_is_understood():
    assert parse_conditions(HINT, NOW) == Filter(
        states=frozenset({State.FAILED}),
        tasks=frozenset({"bash"}),
        labels={"team": "blue"},
        schedule_id="nightly",
        start_time=datetime(2030, 1, 31, 9, 0, tzinfo=UTC),
        end_time=NOW + timedelta(hours=1),
    )


def test_states_and_tasks_may_be_repeated_and_words_quoted():
    found = parse_conditions("state=failed state=ABORTED task=a task=b 'label.a=b c'", NOW)
    assert found.states == {State.FAILED, State.ABORTED}
    assert found.tasks == {"a", "b"}
    assert found.labels == {"a": "b c"}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("echo", "'echo' is not name=value"),
        ("task=", "'task=' is not name=value"),
        ("state=lost", "'lost' is no state; there are PENDING"),
        ("colour=red", "'colour' is no condition"),
        ("label.=red", "'label.' is no condition"),
        ("from=01/02/2030", "is not a time"),
        ("task='a", "No closing quotation"),
    ],
)
def test_what_is_not_understood_is_said(line, said):
    with pytest.raises(ValueError, match=said):
        parse_conditions(line, NOW)
