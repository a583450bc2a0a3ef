"""The line in which people type which instances they want to see."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from datetime import datetime

from later_core.cli.times import parse_instant
from later_core.model.query import Filter
from later_core.model.state import State

HINT = "state=failed task=bash label.team=blue schedule=nightly from=2030-01-31T09:00Z until=1h"


def parse_conditions(line: str, now: datetime) -> Filter:
    """The filter that a line such as ``HINT`` says; an empty one lets everything through.

    A condition on state or task may be repeated: any of them. Raises ValueError with one line that
    says what is wrong.
    """
    states: set[State] = set()
    tasks: set[str] = set()
    labels: dict[str, str] = {}
    single: dict[str, str] = {}
    for word in shlex.split(line):
        name, equals, value = word.partition("=")
        if not equals or not value:
            raise ValueError(f"{word!r} is not name=value, as in {HINT}")
        if name == "state":
            states.add(_state(value))
        elif name == "task":
            tasks.add(value)
        elif name.startswith("label.") and name != "label.":
            labels[name.removeprefix("label.")] = value
        elif name in {"schedule", "from", "until"}:
            single[name] = value
        else:
            raise ValueError(f"{name!r} is no condition; there are state, task, label.KEY,"
                             " schedule, from and until")  # fmt: skip
    return Filter(
        states=frozenset(states),
        tasks=frozenset(tasks),
        labels=labels,
        schedule_id=single.get("schedule"),
        start_time=_instant(single, "from", now),
        end_time=_instant(single, "until", now),
    )


def _state(value: str) -> State:
    try:
        return State(value.upper())
    except ValueError:
        raise ValueError(f"{value!r} is no state; there are {', '.join(State)}") from None


def _instant(single: Mapping[str, str], name: str, now: datetime) -> datetime | None:
    return parse_instant(single[name], now) if name in single else None
