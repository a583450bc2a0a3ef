"""The near instances by time, in an agenda for each priority: of what is due, the highest first."""

from __future__ import annotations

import heapq

from later_core.local.agenda import Agenda
from later_core.local.dues import Dues, Key


class Near:
    """As one ``Agenda``, and of what is due the higher priority comes first, then the earlier.

    Most instances have no priority, and pay nothing for those that have.
    """

    def __init__(self, dues: Dues) -> None:
        self._dues = dues
        self._plain = Agenda(dues)
        #: The highest priority first.
        self._raised: dict[int, Agenda] = {}

    @property
    def size(self) -> int:
        """Entries, stale ones included."""
        return self._plain.size + sum(agenda.size for agenda in self._raised.values())

    def add(self, due_ms: int, key: Key, *, priority: int, now_ms: float) -> bool:
        """Take an entry in, which the dues hold under this priority; True when it may be the first now."""
        if not priority:
            return self._plain.add(due_ms, key, now_ms=now_ms)
        agenda = self._raised.get(priority)
        if agenda is None:
            agenda = Agenda(self._dues, priority)
            self._raised = dict(sorted({**self._raised, priority: agenda}.items(), reverse=True))
        return agenda.add(due_ms, key, now_ms=now_ms)

    def first(self) -> tuple[int, Key] | None:
        """The entry that is due first; of those of one moment the one of the highest priority."""
        agenda = self._earliest()
        return None if agenda is None else agenda.first()

    def pop(self, until_ms: float) -> tuple[int, Key] | None:
        """Take out the first of the highest priority of which any is due by then."""
        for agenda in self._raised.values():
            entry = agenda.pop(until_ms)
            if entry is not None:
                return entry
        return self._plain.pop(until_ms)

    def pop_first(self, until_ms: float) -> tuple[int, Key] | None:
        """Take out what ``first`` says, if it is due by then."""
        agenda = self._earliest()
        return None if agenda is None else agenda.pop(until_ms)

    def _earliest(self) -> Agenda | None:
        """The agenda whose first entry is due before those of all others."""
        if not self._raised:
            return self._plain
        earliest, due_ms = None, float("inf")
        for priority, agenda in (*self._raised.items(), (0, self._plain)):
            entry = agenda.first()
            if entry is None:
                self._raised.pop(priority, None)
            elif entry[0] < due_ms:
                earliest, due_ms = agenda, entry[0]
        return earliest

    def drop_stale(self) -> None:
        """Let the stale entries go once they are the most of all."""
        self._plain.drop_stale()
        for agenda in self._raised.values():
            agenda.drop_stale()

    def latest(self, count: int) -> list[tuple[int, Key]]:
        """At least so many of what is due last (all there is, if that is less), for letting go."""
        latest = self._plain.latest(count)
        if not self._raised:
            return latest
        for agenda in self._raised.values():
            latest += agenda.latest(count)
        # Each has told its own last ones: beyond so many of all together something may be missing.
        return heapq.nlargest(count, latest)
