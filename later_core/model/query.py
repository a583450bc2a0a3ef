"""What people ask of many instances: filters, pages, counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from later_core.model.instance import NO_LABELS, Instance
from later_core.model.scope import EVERYTHING, Scope
from later_core.model.state import State


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """All conditions must hold; an empty one always does.

    ``start_time`` and ``end_time`` bound the execution time, half-open: start <= t < end.
    ``scope`` is that of whoever asks.
    """

    states: frozenset[State] = frozenset()
    tasks: frozenset[str] = frozenset()
    start_time: datetime | None = None
    end_time: datetime | None = None
    labels: Mapping[str, str] = field(default_factory=lambda: NO_LABELS)
    schedule_id: str | None = None
    scope: Scope = EVERYTHING

    def matches(self, instance: Instance) -> bool:
        """Whether the instance, as it is, meets every condition."""
        return (
            (not self.states or instance.state in self.states)
            and (not self.tasks or instance.task in self.tasks)
            and (self.start_time is None or instance.execution_time >= self.start_time)
            and (self.end_time is None or instance.execution_time < self.end_time)
            and (self.schedule_id is None or instance.schedule_id == self.schedule_id)
            and all(instance.labels.get(key) == value for key, value in self.labels.items())
            and (self.scope is EVERYTHING or self.scope.covers(instance.task, instance.labels))
        )


@dataclass(frozen=True, slots=True)
class PageKey:
    """A place in the list of instances ordered by (execution_time, id): just behind this one."""

    execution_time: datetime
    id: str


@dataclass(frozen=True, slots=True)
class Page:
    """Some instances in order of (execution_time, id); ``next`` is None on the last page."""

    instances: Sequence[Instance]
    next: PageKey | None


class DueEntry(NamedTuple):
    """What the window holds of an instance. ``due_ms``: milliseconds since the Unix epoch, UTC.

    ``priority`` is said of what ``Store.raised`` answers alone. A tuple, since a pull makes millions.
    """

    due_ms: int
    id: str
    priority: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How many instances there are, counted from the rows themselves."""

    by_state: Mapping[State, int]
    #: PENDING instances of each task that is not among those asked about.
    unresolved: Mapping[str, int]
