"""A client that watches: it must see every change in order, or be told to start anew."""

from __future__ import annotations

import asyncio

from later_core.model.event import Event, EventBatch, EventType
from later_core.model.instance import Instance
from later_core.model.query import Filter
from later_core.testing.simulation.ledger import Change, Ledger


class Subscriber:
    """What one watching client knows: the token it would come back with, and what it has seen.

    It expects exactly the ledger's changes that match, each once, in their order. After what exists
    has been told, the changes begin somewhere between the call and the first token.
    """

    def __init__(
        self, name: str, ledger: Ledger, *, task: str | None, include_existing: bool
    ) -> None:
        self.name = name
        self.token: str | None = None
        self.include_existing = include_existing
        self.filter = Filter(tasks=frozenset({task} if task else ()))
        self.connection: asyncio.Task[None] | None = None
        self._ledger = ledger
        self._existing: list[Instance] = []
        self._asked_at = 0
        #: The number of the last change seen or skipped; None until the first token.
        self._seen: int | None = None

    def connected(self) -> None:
        """Begins to listen, with its token if it has one."""
        if self.token is None:
            self._existing.clear()
            self._seen = None
            self._asked_at = len(self._ledger.changes)

    def disconnect(self) -> None:
        """The connection breaks."""
        if self.connection is not None:
            self.connection.cancel()

    def take(self, batch: EventBatch) -> None:
        """One batch has arrived."""
        if not batch.position:
            self._existing += [event.instance for event in batch.events if event.instance]
            return
        number = int(batch.position)
        if self._seen is None:
            first = batch.events[0] if batch.events else None
            self._seen = self._beginning(first, number)
        for event in batch.events:
            self._take(event)
        self._expect_nothing_before(number + 1)
        self._seen = max(self._seen, number)
        self.token = batch.position

    def has_seen_all(self) -> bool:
        """Whether no change is missing."""
        return self._seen is not None and self._next() is None

    def _beginning(self, first: Event | None, number: int) -> int:
        """Which change the first token lies behind, or the one that what exists was true at."""
        if first is not None and first.type is EventType.RESYNC:
            return number
        if not self.include_existing or self.token is not None:
            return number
        existing = {instance.id: instance for instance in self._existing}
        if len(existing) != len(self._existing):
            self._violated("an instance exists once")
        known: dict[str, Instance] = {}
        for count, change in enumerate(self._ledger.changes[: number + 1]):
            if count >= self._asked_at and known == existing:
                return count
            if self._matches(change):
                known[change.after.id] = change.after
        if known == existing:
            return min(number, len(self._ledger.changes))
        self._violated("what exists was never so")
        return number

    def _take(self, event: Event) -> None:
        if event.type is EventType.RESYNC:
            if not self._ledger.has_forgotten:
                self._violated("RESYNC although no history was lost")
            self._seen = int(event.position)
            return
        expected = self._next()
        if expected is None:
            self._violated(f"an event that is no change: {event.position}")
            return
        if (event.type, event.instance) != (expected.type, expected.after):
            got = f"{event.instance.id} r{event.instance.revision}" if event.instance else "nothing"
            due = f"{expected.after.id} r{expected.after.revision}"
            self._violated(f"sees {got} where {due} comes next")
        self._seen = expected.number

    def _next(self) -> Change | None:
        """The next change that it must see."""
        changes = self._ledger.changes
        for index in range(self._seen or 0, len(changes)):
            if self._matches(changes[index]):
                return changes[index]
        return None

    def _expect_nothing_before(self, number: int) -> None:
        expected = self._next()
        if expected is not None and expected.number < number:
            self._violated(f"has missed {expected.after.id} r{expected.after.revision}")

    def _matches(self, change: Change) -> bool:
        return self.filter.matches(change.after)

    def _violated(self, what: str) -> None:
        self._ledger.violated("subscribers see every change once, in order:", self.name, what)
