"""The audit log: who asked for what, and what became of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from later_core.model.instant import round_up, to_millis
from later_core.model.value import value


@value
class AuditEntry:
    """One request, or several alike that came close together (``count``, or the items of a batch).

    ``id`` begins with the time, so that the order of ids is that of time. ``time`` is when it was
    answered, by the database's clock, in whole milliseconds. ``principal`` is empty where nobody was
    authenticated.
    ``method`` is the name of the RPC (``AbortInstance``), ``target`` the id that it was about (of a
    batch, the first), ``outcome`` the name of a gRPC status (``OK``, ``PERMISSION_DENIED``),
    ``peer`` where the caller was. What was asked for beyond that, parameters above all, is never in it.
    """

    id: str
    time: datetime
    principal: str
    method: str
    target: str
    outcome: str
    peer: str
    count: int = 1


def entry_id(time: datetime, number: int, node: str) -> str:
    """An id for an entry of this time, like no other; of one millisecond and one node, in the order of
    the numbers. ``node``: ten digits that no other process has.
    """
    return f"{to_millis(time):012x}{number & 0xFFFFFF:06x}{node}"


def first_id(time: datetime) -> str:
    """Not behind any id of an entry at or after this time, and behind every one before it."""
    return f"{max(to_millis(round_up(time)), 0):012x}"


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFilter:
    """All conditions must hold; an empty one always does. ``start_time <= time < end_time``."""

    principal: str | None = None
    methods: frozenset[str] = frozenset()
    target: str | None = None
    outcomes: frozenset[str] = frozenset()
    start_time: datetime | None = None
    end_time: datetime | None = None

    def matches(self, entry: AuditEntry) -> bool:
        """Whether the entry meets every condition."""
        return (
            (self.principal is None or entry.principal == self.principal)
            and (not self.methods or entry.method in self.methods)
            and (self.target is None or entry.target == self.target)
            and (not self.outcomes or entry.outcome in self.outcomes)
            and (self.start_time is None or entry.time >= self.start_time)
            and (self.end_time is None or entry.time < self.end_time)
        )


@dataclass(frozen=True, slots=True)
class AuditPage:
    """Some entries, the newest first; ``next`` is the id that the next page is behind, None on the
    last one.
    """

    entries: Sequence[AuditEntry]
    next: str | None
