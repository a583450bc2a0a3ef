"""The near instances in order of time: what a node holds in memory, small entries and not documents."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from later_core.local.agenda import Agenda
from later_core.local.dues import Dues, Key, pack, unpack

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
    #: The share of a full window that makes room at once.
    _LET_GO = 1 / 8

    def __init__(self, *, capacity: int = 2_000_000, backlog_capacity: int = 50_000) -> None:
        self._capacity = capacity
        self._backlog_capacity = backlog_capacity
        self._dues = Dues()
        self._near = Agenda(self._dues)
        self._backlog: list[tuple[int, Key]] = []
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
        return len(self._dues)

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
        return self._dues.get(pack(id))

    def offer(self, due_ms: int, id: str, *, now_ms: float) -> bool:
        """Take an entry in, or move the one of this id; False when there was no room.

        Room for what is near is made at the cost of what is due last.
        """
        if self._touched is not None:
            self._touched.add(id)
        key = pack(id)
        held = self._dues.get(key)
        if held == due_ms:
            return True
        overdue = due_ms < now_ms - self.OVERDUE_AFTER_MS
        if held is None and overdue and len(self._backlog) >= self._backlog_capacity:
            self._backlog_cut = True
            return False
        if held is None and len(self) >= self._capacity and not self._make_room(due_ms, key):
            self._near_cut = True
            self.horizon_ms = min(self.horizon_ms, due_ms - 1)
            return False
        self._dues.put(key, due_ms)
        if overdue:
            heapq.heappush(self._backlog, (due_ms, key))
            self.changed.set()
        elif self._near.add(due_ms, key, now_ms=now_ms):
            self.changed.set()
        self._near.drop_stale()
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
        for key, due in self._dues.items():
            if due > until_ms and not is_ours(unpack(key)):
                self._dues.remove(key)
        self._near.drop_stale()

    def discard(self, id: str) -> None:
        """Forget the id."""
        if self._touched is not None:
            self._touched.add(id)
        self._dues.remove(pack(id))
        self._near.drop_stale()

    def next_due(self) -> int | None:
        """When the first entry that is not backlog is due; None when there is none."""
        first = self._near.first()
        return first[0] if first else None

    def has_backlog(self) -> bool:
        """Whether anything waits in the backlog."""
        while self._backlog and not self._is_held(self._backlog[0]):
            heapq.heappop(self._backlog)
        return bool(self._backlog)

    def pop_due(self, until_ms: float, limit: int) -> list[Entry]:
        """Take out what is due by then, in order of time, at most this many."""
        entries: list[Entry] = []
        while len(entries) < limit and (entry := self._near.pop(until_ms)) is not None:
            entries.append(self._taken(entry))
        self._note_room()
        return entries

    def pop_backlog(self, limit: int) -> list[Entry]:
        """Take out the oldest of the backlog, at most this many."""
        entries: list[Entry] = []
        while len(entries) < limit and self.has_backlog():
            entries.append(self._taken(heapq.heappop(self._backlog)))
        self._note_room()
        if self._backlog_cut and len(self._backlog) <= self._backlog_capacity // 2:
            self._backlog_cut = False
            self.wants_more.set()
        return entries

    def put_back(self, entries: Iterable[Entry], *, now_ms: float) -> None:
        """Return entries that were taken out and could not be claimed for want of a database.

        Those that were offered again meanwhile stay as they are: that is the newer word.
        """
        for due_ms, id in entries:
            if self.due_of(id) is None:
                self.offer(due_ms, id, now_ms=now_ms)

    def _is_held(self, entry: tuple[int, Key]) -> bool:
        return self._dues.get(entry[1]) == entry[0]

    def _taken(self, entry: tuple[int, Key]) -> Entry:
        due_ms, key = entry
        self._dues.remove(key)
        return due_ms, unpack(key)

    def _note_room(self) -> None:
        if self._near_cut and len(self) <= self._capacity // 2:
            self._near_cut = False
            self.wants_more.set()

    def _make_room(self, due_ms: int, key: Key) -> bool:
        """Let the latest entries go; False when this one would be among them."""
        latest = self._near.latest(max(1, int(self._capacity * self._LET_GO)))
        if not latest or (due_ms, key) >= (limit := min(latest)):
            return False
        for _, gone in latest:
            self._dues.remove(gone)
        self._near_cut = True
        self.horizon_ms = min(self.horizon_ms, limit[0] - 1)
        return True
