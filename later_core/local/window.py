"""The near instances in order of time: what a node holds in memory, small entries and not documents."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

from later_core.local.backlog import Backlog
from later_core.local.dues import Dues, Key, pack, unpack
from later_core.local.near import Near
from later_core.model.query import DueEntry

Entry = tuple[int, str]  # (due, milliseconds since the Unix epoch; id)


class Window:
    """Pending instances that are due soon, each once, under its latest known time.

    An entry is a hint, never a right: only the claim decides. So an entry too many costs a failed
    claim, and an entry too few is found by the next pull.

    What was long due when it was offered goes to a backlog of its own, so that catching up after
    a downtime never stands before what is due now. Both are bounded. A full window keeps what is
    due first: it lets the latest go, which lowers the horizon, behind which a pull must look again.

    Of what is due now the higher priority comes first, and of the backlog too; but all that is due now comes
    before the backlog.
    """

    #: What is due longer than this when it is offered is backlog, in milliseconds.
    OVERDUE_AFTER_MS = 5_000
    #: The share of a full window that makes room at once.
    _LET_GO = 1 / 8
    #: More than are ever being claimed at once.
    _TAKEN_REMEMBERED = 10_000

    def __init__(self, *, capacity: int = 2_000_000, backlog_capacity: int = 50_000) -> None:
        self._capacity = capacity
        self._dues = Dues()
        self._near = Near(self._dues)
        self._backlog = Backlog(self._dues, capacity=backlog_capacity)
        #: Of what was taken out lately and may be put back.
        self._priorities_taken: OrderedDict[str, int] = OrderedDict()
        #: Everything pending up to here is held or was offered; milliseconds since the epoch.
        self.horizon_ms = -1
        #: Set when the next due time may have come nearer. Clear it before reading ``next_due``.
        self.changed = asyncio.Event()
        #: Set when there is room again for what was refused.
        self.wants_more = asyncio.Event()
        self._near_cut = False
        self._touched: set[str] | None = None
        #: Something pending may never have been offered; cleared as a pull begins.
        self.is_doubted = False

    def __len__(self) -> int:
        return len(self._dues)

    @property
    def backlog_size(self) -> int:
        """Entries of the backlog, discarded ones included until they surface."""
        return len(self._backlog)

    def backlog_room(self, *, raised: bool = False) -> int:
        """How many more entries the backlog takes; of those that have a priority, or of all others."""
        return self._backlog.room(raised=raised)

    def covers(self, due_ms: int) -> bool:
        """Whether an instance due then belongs into the window."""
        return due_ms <= self.horizon_ms

    def due_of(self, id: str) -> int | None:
        """When the instance is due as far as is known here, None where it is not held."""
        return self._dues.get(pack(id))

    def offer(self, due_ms: int, id: str, *, now_ms: float, priority: int | None = None) -> bool:
        """Take an entry in, or move the one of this id; False when there was no room.

        Room for what is near is made at the cost of what is due last. Without a ``priority`` it has the one
        that is known here.
        """
        if self._touched is not None:
            self._touched.add(id)
        return self._offer(due_ms, pack(id), now_ms=now_ms, priority=priority)

    def offer_all(self, entries: Sequence[DueEntry], *, now_ms: float) -> int:
        """Take in what the store tells, in order of time, as far as the window covers it; how many.

        As to ``offer`` each without a priority, at a third of the cost; and they do not count as touched,
        since what the store tells is no news about what it tells next.
        """
        overdue_ms = now_ms - self.OVERDUE_AFTER_MS
        has_room = len(self) + len(entries) <= self._capacity
        taken = 0
        for due_ms, id, _ in entries:
            if due_ms > self.horizon_ms:
                break
            key = pack(id)
            if has_room and due_ms >= overdue_ms and self._dues.add(key, due_ms):
                if self._near.add(due_ms, key, priority=0, now_ms=now_ms):
                    self.changed.set()
                taken += 1
            elif self._offer(due_ms, key, now_ms=now_ms):
                taken += 1
        return taken

    def _offer(self, due_ms: int, key: Key, *, now_ms: float, priority: int | None = None) -> bool:
        held = self._dues.get(key)
        known = self._dues.priority(key)
        if priority is None:
            priority = known
        if held == due_ms and priority == known:
            return True
        overdue = due_ms < now_ms - self.OVERDUE_AFTER_MS
        if held is None and overdue and not self._backlog.room(raised=priority > 0):
            self._backlog.cut(raised=priority > 0)
            return False
        if held is None and len(self) >= self._capacity and not self._make_room(due_ms, key):
            self._near_cut = True
            self.horizon_ms = min(self.horizon_ms, due_ms - 1)
            return False
        self._dues.put(key, due_ms, priority)
        if overdue:
            self._backlog.add(due_ms, key, priority)
            self.changed.set()
        elif self._near.add(due_ms, key, priority=priority, now_ms=now_ms):
            self.changed.set()
        if held is not None:
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

    def cut_backlog(self, *, raised: bool = False) -> None:
        """Say that the store may hold more of the backlog; asked for once half of it has gone."""
        self._backlog.cut(raised=raised)

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
        return self._backlog.first() is not None

    def pop_due(self, until_ms: float, limit: int) -> list[Entry]:
        """Take out what is due by then, the highest priority first, then the earliest, at most this many."""
        entries: list[Entry] = []
        while len(entries) < limit and (entry := self._near.pop(until_ms)) is not None:
            entries.append(self._taken(entry))
        self._note_room()
        return entries

    def pop_ahead(self, until_ms: float, limit: int) -> list[Entry]:
        """Take out what is due by then, the earliest first, at most this many: what is not due yet takes no
        room from what is due before it, whatever the priority. Of one moment the highest priority is first.
        """
        entries: list[Entry] = []
        while len(entries) < limit and (entry := self._near.pop_first(until_ms)) is not None:
            entries.append(self._taken(entry))
        self._note_room()
        return entries

    def pop_backlog(self, limit: int) -> list[Entry]:
        """Take out of the backlog the highest priority first, then the oldest, at most this many."""
        entries: list[Entry] = []
        while len(entries) < limit and (entry := self._backlog.pop()) is not None:
            entries.append(self._taken(entry))
        self._note_room()
        if self._backlog.wants_more():
            self.wants_more.set()
        return entries

    def put_back(self, entries: Iterable[Entry], *, now_ms: float) -> None:
        """Return entries that were taken out and could not be claimed for want of a database.

        Those that were offered again meanwhile stay as they are: that is the newer word.
        """
        for due_ms, id in entries:
            if self.due_of(id) is None:
                priority = self._priorities_taken.get(id, 0)
                self.offer(due_ms, id, now_ms=now_ms, priority=priority)

    def _taken(self, entry: tuple[int, Key]) -> Entry:
        due_ms, key = entry
        id = unpack(key)
        if priority := self._dues.priority(key):
            self._priorities_taken[id] = priority
            if len(self._priorities_taken) > self._TAKEN_REMEMBERED:
                self._priorities_taken.popitem(last=False)
        self._dues.remove(key)
        return due_ms, id

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
