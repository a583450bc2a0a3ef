"""The near instances in order of time: what a node holds in memory, small entries and not documents."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable, Iterable

Entry = tuple[int, str]  # (due, milliseconds since the Unix epoch; id)


class Window:
    """Pending instances that are due soon, each once, under its latest known time.

    An entry is a hint, never a right: only the claim decides. So an entry too many costs a failed
    claim, and an entry too few is found by the next pull.

    What was long due when it was offered goes to a backlog of its own, so that catching up after
    a downtime never stands before what is due now. Both are bounded by ``capacity``: an entry
    refused for lack of room lowers the horizon, behind which a pull must look again.
    """

    #: What is due longer than this when it is offered is backlog, in milliseconds.
    OVERDUE_AFTER_MS = 5_000

    def __init__(self, *, capacity: int = 2_000_000, backlog_capacity: int = 50_000) -> None:
        self._capacity = capacity
        self._backlog_capacity = backlog_capacity
        self._due: dict[str, int] = {}
        self._near: list[Entry] = []
        self._backlog: list[Entry] = []
        #: Everything pending up to here is held or was offered; milliseconds since the epoch.
        self.horizon_ms = -1
        #: Set when the next due time may have come nearer. Clear it before reading ``next_due``.
        self.changed = asyncio.Event()
        #: Set when there is room again for what was refused.
        self.wants_more = asyncio.Event()
        self._refused = False
        #: Something pending may never have been offered; cleared as a pull begins.
        self.is_doubted = False

    def __len__(self) -> int:
        return len(self._due)

    @property
    def backlog_size(self) -> int:
        """Entries of the backlog, discarded ones included until they surface."""
        return len(self._backlog)

    @property
    def backlog_room(self) -> int:
        """How many more entries the backlog takes."""
        return max(0, self._backlog_capacity - len(self._backlog))

    def covers(self, due_ms: int) -> bool:
        """Whether an instance due then belongs into the window."""
        return due_ms <= self.horizon_ms

    def offer(self, due_ms: int, id: str, *, now_ms: float) -> bool:
        """Take an entry in, or move the one of this id; False when there was no room."""
        held = self._due.get(id)
        if held == due_ms:
            return True
        overdue = due_ms < now_ms - self.OVERDUE_AFTER_MS
        if held is None and (
            len(self._due) >= self._capacity
            or (overdue and len(self._backlog) >= self._backlog_capacity)
        ):
            self._refused = True
            if not overdue:
                self.horizon_ms = min(self.horizon_ms, due_ms - 1)
            return False
        self._due[id] = due_ms
        if overdue:
            heapq.heappush(self._backlog, (due_ms, id))
            self.changed.set()
        else:
            heapq.heappush(self._near, (due_ms, id))
            if self._near[0][1] == id:
                self.changed.set()
        return True

    def doubt(self) -> None:
        """Say that something may be pending that was never offered; a pull must look again."""
        self.is_doubted = True
        self.wants_more.set()

    def retain(self, is_ours: Callable[[str], bool], *, until_ms: float) -> None:
        """Forget what is due after that moment and is no longer ours; others look after it."""
        for id in [id for id, due in self._due.items() if due > until_ms and not is_ours(id)]:
            del self._due[id]

    def discard(self, id: str) -> None:
        """Forget the id; its entry disappears when it surfaces."""
        self._due.pop(id, None)

    def next_due(self) -> int | None:
        """When the first entry that is not backlog is due; None when there is none."""
        self._drop_stale(self._near)
        return self._near[0][0] if self._near else None

    def has_backlog(self) -> bool:
        """Whether anything waits in the backlog."""
        self._drop_stale(self._backlog)
        return bool(self._backlog)

    def pop_due(self, until_ms: float, limit: int) -> list[Entry]:
        """Take out what is due by then, in order of time, at most this many."""
        return self._pop(self._near, until_ms, limit)

    def pop_backlog(self, limit: int) -> list[Entry]:
        """Take out the oldest of the backlog, at most this many."""
        entries = self._pop(self._backlog, float("inf"), limit)
        if self._refused and len(self._backlog) <= self._backlog_capacity // 2:
            self._ask_for_more()
        return entries

    def put_back(self, entries: Iterable[Entry], *, now_ms: float) -> None:
        """Return entries that were taken out and could not be claimed for want of a database."""
        for due_ms, id in entries:
            self.offer(due_ms, id, now_ms=now_ms)

    def _pop(self, heap: list[Entry], until_ms: float, limit: int) -> list[Entry]:
        entries: list[Entry] = []
        while heap and len(entries) < limit and heap[0][0] <= until_ms:
            due_ms, id = heapq.heappop(heap)
            if self._due.get(id) == due_ms:
                del self._due[id]
                entries.append((due_ms, id))
        if self._refused and len(self._due) <= self._capacity // 2:
            self._ask_for_more()
        return entries

    def _ask_for_more(self) -> None:
        self._refused = False
        self.wants_more.set()

    def _drop_stale(self, heap: list[Entry]) -> None:
        while heap and self._due.get(heap[0][1]) != heap[0][0]:
            heapq.heappop(heap)
