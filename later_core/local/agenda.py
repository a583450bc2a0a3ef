"""The near instances in order of time: exactly for the next seconds, by the second for what is later."""

from __future__ import annotations

import heapq

from later_core.local.dues import Dues, Key

_SECOND_MS = 1_000
#: What is due this much later than the last look is kept by the second.
_EXACT_MS = 2 * _SECOND_MS
#: So many ids of one second are sorted in a moment; what goes beyond is sorted as it comes.
_MOST_OF_A_SECOND = 5_000
#: Fewer stale entries than this are never worth a walk.
_SLACK = 1_024


class Agenda:
    """Entries of what ``dues`` holds under one priority, by time; those that it no longer holds so are stale
    and passed over.

    An entry in the heap weighs 64 bytes beside its id and time, one of a later second 8.
    """

    def __init__(self, dues: Dues, priority: int = 0) -> None:
        self._dues = dues
        self._priority = priority
        self._heap: list[tuple[int, Key]] = []
        self._seconds: list[int] = []
        self._later: dict[int, list[Key]] = {}
        self._count = 0

    @property
    def size(self) -> int:
        """Entries, stale ones included."""
        return self._count

    def add(self, due_ms: int, key: Key, *, now_ms: float) -> bool:
        """Take an entry in; True when it may be the first now."""
        self._count += 1
        second = due_ms // _SECOND_MS
        if due_ms > now_ms + _EXACT_MS:
            keys = self._later.get(second)
            if keys is None:
                self._later[second] = [key]
                heapq.heappush(self._seconds, second)
                return self._seconds[0] == second and not self._heap
            if len(keys) < _MOST_OF_A_SECOND:
                keys.append(key)
                return False
        heapq.heappush(self._heap, (due_ms, key))
        return self._heap[0][1] == key

    def first(self) -> tuple[int, Key] | None:
        """The first entry that is not stale."""
        while True:
            if self._seconds and (
                not self._heap or self._seconds[0] * _SECOND_MS <= self._heap[0][0]
            ):
                self._sort_out(heapq.heappop(self._seconds))
                continue
            if not self._heap:
                return None
            due_ms, key = self._heap[0]
            if self._dues.get_of(key, self._priority) == due_ms:
                return due_ms, key
            self._take()

    def pop(self, until_ms: float) -> tuple[int, Key] | None:
        """Take out the first entry, if it is due by then."""
        entry = self.first()
        if entry is None or entry[0] > until_ms:
            return None
        return self._take()

    def drop_stale(self) -> None:
        """Let the stale entries go once they are the most of all."""
        if self._count <= 2 * len(self._dues) + _SLACK:
            return
        held = {
            entry for entry in self._heap if self._dues.get_of(entry[1], self._priority) == entry[0]
        }
        self._heap = list(held)
        heapq.heapify(self._heap)
        for second, keys in self._later.items():
            self._later[second] = [key for key in dict.fromkeys(keys) if self._is_of(second, key)]
        self._count = len(self._heap) + sum(map(len, self._later.values()))

    def latest(self, count: int) -> list[tuple[int, Key]]:
        """At least so many of what is due last (all there is, if that is less), for letting go."""
        found: list[tuple[int, Key]] = []
        for second in sorted(self._later, reverse=True):
            if len(found) >= count:
                return found
            found.extend(self._held_of(second))
        if len(found) < count:
            kept = (
                entry
                for entry in self._heap
                if self._dues.get_of(entry[1], self._priority) == entry[0]
            )
            found.extend(heapq.nlargest(count - len(found), kept))
        return found

    def _sort_out(self, second: int) -> None:
        """What is left of a second's entries goes to where each has its place."""
        keys = self._later[second]
        entries = self._held_of(second)
        del self._later[second]
        self._count += len(entries) - len(keys)
        if self._heap:
            for entry in entries:
                heapq.heappush(self._heap, entry)
        else:
            entries.sort()
            self._heap = entries

    def _held_of(self, second: int) -> list[tuple[int, Key]]:
        keys = dict.fromkeys(self._later[second])
        dues = ((self._dues.get_of(key, self._priority), key) for key in keys)
        return [(due, key) for due, key in dues if due is not None and due // _SECOND_MS == second]

    def _is_of(self, second: int, key: Key) -> bool:
        due_ms = self._dues.get_of(key, self._priority)
        return due_ms is not None and due_ms // _SECOND_MS == second

    def _take(self) -> tuple[int, Key]:
        self._count -= 1
        return heapq.heappop(self._heap)
