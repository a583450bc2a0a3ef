"""What was long due when it was heard of: the highest priority first, then the oldest."""

from __future__ import annotations

import heapq

from later_core.local.dues import Dues, Key


class Backlog:
    """Entries of what ``dues`` holds; those that it no longer holds so are stale and passed over.

    What has a priority has room of its own, as much as all else, so that it need not wait until others are
    gone. Where the store holds more, its rest is asked for once half of the room is free.
    """

    def __init__(self, dues: Dues, *, capacity: int) -> None:
        self._dues = dues
        self._capacity = capacity
        self._plain: list[tuple[int, Key]] = []
        self._raised: list[tuple[int, int, Key]] = []
        #: Of which kinds the store may hold more: raised (True), or not.
        self._cut: set[bool] = set()

    def __len__(self) -> int:
        """Entries, discarded ones included until they surface."""
        return len(self._plain) + len(self._raised)

    def room(self, *, raised: bool) -> int:
        """How many more entries of that kind there is room for."""
        return max(0, self._capacity - len(self._raised if raised else self._plain))

    def cut(self, *, raised: bool) -> None:
        """Say that the store may hold more of that kind."""
        self._cut.add(raised)

    def add(self, due_ms: int, key: Key, priority: int) -> None:
        """Take an entry in, which the dues hold under this priority."""
        if priority:
            heapq.heappush(self._raised, (-priority, due_ms, key))
        else:
            heapq.heappush(self._plain, (due_ms, key))

    def first(self) -> tuple[int, Key] | None:
        """The first entry that is not stale."""
        while self._raised:
            priority, due_ms, key = self._raised[0]
            if self._dues.get_of(key, -priority) == due_ms:
                return due_ms, key
            heapq.heappop(self._raised)
        while self._plain:
            due_ms, key = self._plain[0]
            if self._dues.get_of(key, 0) == due_ms:
                return due_ms, key
            heapq.heappop(self._plain)
        return None

    def pop(self) -> tuple[int, Key] | None:
        """Take out the first entry."""
        entry = self.first()
        if entry is not None:
            heapq.heappop(self._raised) if self._raised else heapq.heappop(self._plain)
        return entry

    def wants_more(self) -> bool:
        """Whether to ask for the rest now; says so once."""
        half = self._capacity - self._capacity // 2
        ready = {raised for raised in self._cut if self.room(raised=raised) >= half}
        self._cut -= ready
        return bool(ready)
