"""What each task may take of a node: how long, how many at once; and how operators write it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

from later_core.model.breaker import Breaker
from later_core.model.duration import format_duration, parse_duration

_T = TypeVar("_T")

#: Stands for every task that has no entry of its own.
EVERY = "*"
TIME_LIMIT_MIN = timedelta(milliseconds=1)
TIME_LIMIT_MAX = timedelta(days=365)
CONCURRENCY_LIMIT_MAX = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskLimits:
    """The limits in force for a task; None: there is none.

    ``time`` caps each attempt, whatever its instance asks for; ``concurrency`` is how many of its
    instances run at once on a node; ``breaker`` when it is left alone for a while.
    """

    time: timedelta | None = None
    concurrency: int | None = None
    breaker: Breaker | None = None

    def __str__(self) -> str:
        said = [
            f"{format_duration(self.time)} each" if self.time is not None else "",
            f"{self.concurrency} at once" if self.concurrency is not None else "",
            f"breaker {self.breaker}" if self.breaker is not None else "",
        ]
        return ", ".join(filter(None, said))


#: Of most tasks.
NO_LIMITS = TaskLimits()


def parse_by_task(text: str, parse: Callable[[str], _T], *, such: str) -> dict[str, _T | None]:
    """Values by task: ``mail=30s, bash=none, *=1h``; none lifts what the task declares.

    ``such`` is a value as a complaint shows it.

    Raises:
        ValueError: it names none, or a task twice.

    """
    found: dict[str, _T | None] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        task, equals, value = (word.strip() for word in part.partition("="))
        if not task or not equals:
            raise ValueError(f"{part!r} is not task=limit; write mail={such}, or mail=none")
        if task in found:
            raise ValueError(f"{task!r} has two limits")
        found[task] = None if value == "none" else parse(value)
    return found


def parse_time_limit(text: str) -> timedelta:
    """How long an attempt may take: ``30s``, ``1h``.

    Raises:
        ValueError: it is no duration, or one that no attempt could use.

    """
    return check_time_limit(parse_duration(text))


def check_time_limit(limit: timedelta) -> timedelta:
    """The limit itself.

    Raises:
        ValueError: no attempt could use it.

    """
    if not TIME_LIMIT_MIN <= limit <= TIME_LIMIT_MAX:
        raise ValueError("a time limit goes from a millisecond to a year")
    return limit


def parse_concurrency_limit(text: str) -> int:
    """How many run at once.

    Raises:
        ValueError: it is no whole number from 1 to a million.

    """
    if not re.fullmatch("[0-9]{1,7}", text):
        raise ValueError(f"{text[:64]!r} is not a number of instances; write 4, or none")
    return check_concurrency_limit(int(text))


def check_concurrency_limit(limit: int) -> int:
    """The limit itself.

    Raises:
        ValueError: it is below 1 or over a million.

    """
    if not 1 <= limit <= CONCURRENCY_LIMIT_MAX:
        raise ValueError("a concurrency limit goes from 1 to 1,000,000")
    return limit


def in_force(set_by_operator: Mapping[str, _T | None], task: str, declared: _T | None) -> _T | None:
    """What an operator has set for the task, else what its author declares, else what holds for every one."""
    if task in set_by_operator:
        return set_by_operator[task]
    return declared if declared is not None else set_by_operator.get(EVERY)
