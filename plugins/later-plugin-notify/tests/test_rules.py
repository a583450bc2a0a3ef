"""Which ends people are told of."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from later_plugin_notify.rules import Rules

from later_core import Event, EventType, State

MakeEvent = Callable[..., Event]


def rules(kinds: str = "failed, late", tasks: str = "*") -> Rules:
    return Rules(kinds=kinds, late_after=60, tasks=tasks)


@pytest.mark.parametrize(
    ("kinds", "state", "late", "told"),
    [
        ("failed,late", State.FAILED, 0, "failed"),
        ("failed,late", State.FAILED, 90, "failed"),
        ("failed,late", State.SUCCEEDED, 90, "late"),
        ("failed,late", State.SUCCEEDED, 60, None),
        ("failed,late", State.ABORTED, 0, None),
        ("late", State.FAILED, 61, "late"),
        ("late", State.FAILED, 1, None),
        ("aborted", State.ABORTED, 0, "aborted"),
        ("succeeded", State.SUCCEEDED, 0, "succeeded"),
        ("", State.FAILED, 90, None),
        ("failed", State.PENDING, 0, None),
        ("failed,late", State.RUNNING, 90, None),
    ],
)
def test_the_kind_decides(
    event: MakeEvent, kinds: str, state: State, late: float, told: str | None
) -> None:
    notice = rules(kinds).notice_of(event(state, late=late))
    assert (notice.kind if notice else None) == told


@pytest.mark.parametrize(
    ("tasks", "is_told"),
    [("*", True), ("backup", True), ("http, back*", True), ("http", False), ("", False)],
)
def test_the_task_decides(event: MakeEvent, tasks: str, is_told: bool) -> None:
    assert (rules(tasks=tasks).notice_of(event()) is not None) is is_told


def test_what_never_began_is_not_late(event: MakeEvent) -> None:
    notice = rules().notice_of(event(start_time=None))
    assert notice
    assert notice.late_seconds is None
    assert rules("late").notice_of(event(start_time=None)) is None


def test_what_is_no_change_is_not_told(event: MakeEvent) -> None:
    assert rules().notice_of(replace(event(), type=EventType.EXISTING)) is None
    assert rules().notice_of(replace(event(), type=EventType.RESYNC, instance=None)) is None


def test_a_kind_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="'fail' is none of aborted, failed, late, succeeded"):
        rules("fail, late")


def test_a_notice_is_json(event: MakeEvent) -> None:
    notice = rules().notice_of(event(schedule_id="nightly"))
    assert notice
    found: dict[str, Any] = json.loads(json.dumps(notice.as_json()))
    assert found == {
        "kind": "failed",
        "id": "nightly-1",
        "revision": 5,
        "task": "backup",
        "attempt": 2,
        "execution_time": "2030-01-01T00:00:00+00:00",
        "end_time": "2030-01-01T00:00:01.250000+00:00",
        "late_seconds": 0.25,
        "schedule_id": "nightly",
        "reason": "EXIT_CODE",
        "message": "no space left",
    }
