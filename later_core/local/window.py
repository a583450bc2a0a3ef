"""The near instances in order of time: what a node holds in memory, small entries and not documents."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

Entry = tuple[int, str]  # (due, milliseconds since the Unix epoch; id)


class Window:
    """Pending instances that are due soon, each once, under its latest known time.

    An entry is a hint, never a right: only the claim decides. So an entry too many costs a failed
    claim, and an entry too few is found by the next pull.

    What was long due when it was offered goes to a backlog of its own, so that catching up after
    a downtime never stands before what is due now. Both are bounded. A full window keeps what is
    due first: it lets the latest go, which lowers the horizon, behind which a pull must look again.
    """

    #: What is due longer than this when it is offered is backlog, in milliseconds.
    OVERDUE_AFTER_MS = 5_000
    #: The share of a full window that makes room at once: each time costs a walk through all of it.
    _LET_GO = 1 / 8
    #: Entries that tell where the latest of them begin.
    _SAMPLE = 1_024

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
        self._near_cut = False
        self._backlog_cut = False
        self._touched: set[str] | None = None
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

    def due_of(self, id: str) -> int | None:
        """When the instance is due as far as is known here, None where it is not held."""
        return self._due.get(id)

    def offer(self, due_ms: int, id: str, *, now_ms: float) -> bool:
        """Take an entry in, or move the one of this id; False when there was no room.

        Room for what is near is made at the cost of what is due last.
        """
        if self._touched is not None:
            self._touched.add(id)
        held = self._due.get(id)
        if held == due_ms:
            return True
        overdue = due_ms < now_ms - self.OVERDUE_AFTER_MS
        if held is None and overdue and len(self._backlog) >= self._backlog_capacity:
            self._backlog_cut = True
            return False
        if held is None and len(self._due) >= self._capacity and not self._make_room(due_ms, id):
            self._near_cut = True
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
        self._drop_many_stale()
        return True

    @contextmanager
    def touching(self) -> Iterator[set[str]]:
        """The ids offered or discarded during the block, as they come.

        What was read from the store during the block may be older than what was said of these.
        """
        self._touched = set()
        try:
            yield self._touched
        finally:
            self._touched = None

    def cut_backlog(self) -> None:
        """Say that the store may hold more of the backlog; asked for once half of it has gone."""
        self._backlog_cut = True

    def doubt(self) -> None:
        """Say that something may be pending that was never offered; a pull must look again."""
        self.is_doubted = True
        self.wants_more.set()

    def retain(self, is_ours: Callable[[str], bool], *, until_ms: float) -> None:
        """Forget what is due after that moment and is no longer ours; others look after it."""
        for id in [id for id, due in self._due.items() if due > until_ms and not is_ours(id)]:
            del self._due[id]
        self._drop_many_stale()

    def discard(self, id: str) -> None:
        """Forget the id."""
        if self._touched is not None:
            self._touched.add(id)
        self._due.pop(id, None)
        self._drop_many_stale()

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
        if self._backlog_cut and len(self._backlog) <= self._backlog_capacity // 2:
            self._backlog_cut = False
            self.wants_more.set()
        return entries

    def put_back(self, entries: Iterable[Entry], *, now_ms: float) -> None:
        """Return entries that were taken out and could not be claimed for want of a database.

        Those that were offered again meanwhile stay as they are: that is the newer word.
        """
        for due_ms, id in entries:
            if id not in self._due:
                self.offer(due_ms, id, now_ms=now_ms)

    def _pop(self, heap: list[Entry], until_ms: float, limit: int) -> list[Entry]:
        entries: list[Entry] = []
        while heap and len(entries) < limit and heap[0][0] <= until_ms:
            due_ms, id = heapq.heappop(heap)
            if self._due.get(id) == due_ms:
                del self._due[id]
                entries.append((due_ms, id))
        if self._near_cut and len(self._due) <= self._capacity // 2:
            self._near_cut = False
            self.wants_more.set()
        return entries

    def _make_room(self, due_ms: int, id: str) -> bool:
        """Let the latest entries go; False when this one would be among them."""
        sample = sorted(self._near[:: len(self._near) // self._SAMPLE + 1])
        if not sample or (due_ms, id) >= (limit := sample[int(len(sample) * (1 - self._LET_GO))]):
            return False
        kept: list[Entry] = []
        for entry in self._near:
            if entry < limit:
                kept.append(entry)
            elif self._due.get(entry[1]) == entry[0]:
                del self._due[entry[1]]
        heapq.heapify(kept)
        self._near = kept
        self._near_cut = True
        self.horizon_ms = min(self.horizon_ms, limit[0] - 1)
        return True

    def _drop_many_stale(self) -> None:
        """Stale entries go when they surface, or here once they are the most of what is near."""
        if len(self._near) > 2 * len(self._due) + self._SAMPLE:
            self._near = list({e for e in self._near if self._due.get(e[1]) == e[0]})
            heapq.heapify(self._near)

    def _drop_stale(self, heap: list[Entry]) -> None:
        while heap and self._due.get(heap[0][1]) != heap[0][0]:
            heapq.heappop(heap)
