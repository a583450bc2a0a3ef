"""Where due instances wait to be admitted: in lines, each in order of priority and time."""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterable, Sequence
from datetime import timedelta

from later_core.model.concurrency import Gated

_MILLISECOND = timedelta(milliseconds=1)

#: All of one concurrency key stand in one line, and of the others all of one task. Tasks that wait for a
#: place stand apart, so that nobody else of their keys waits behind them.
Line = tuple[str, ...]


def line_of(gated: Gated, apart: Collection[str] = ()) -> Line:
    """The line in which it stands; ``apart`` are the tasks that do not stand with others."""
    if gated.concurrency is not None and gated.task in apart:
        return "key", gated.concurrency.key, gated.task
    if gated.concurrency is not None:
        return "key", gated.concurrency.key
    return "task", gated.task


def rank(gated: Gated) -> tuple[int, int, str]:
    """Where it stands in its line: the highest priority first, and of one priority what is due first."""
    return -gated.priority, gated.due_ms, gated.id


class Lobby:
    """PENDING instances that a claim left alone, each once, under its latest known time.

    An entry is a hint, as one of the window is: it may have been aborted, moved, or be another node's
    by now, and the claim that follows its admission decides. The lobby is bounded; what finds no room
    is found again by a pull.
    """

    def __init__(self, *, capacity: int = 50_000) -> None:
        self._capacity = capacity
        self._waiting: dict[str, Gated] = {}
        #: Of each line, by place; what has left or moved stays in until it surfaces.
        self._by_line: dict[Line, list[tuple[int, int, str]]] = {}
        #: Of those with a start deadline, when it is over, in milliseconds since the Unix epoch.
        self._by_deadline: list[tuple[int, str]] = []
        #: How many entries of the heaps stand for nothing any more, at most.
        self._stale = 0
        self._is_cut = False
        self._apart: Collection[str] = ()

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def lines(self) -> Iterable[Line]:
        """The lines in which somebody waits, or did a moment ago."""
        return tuple(self._by_line)

    def line_of(self, gated: Gated) -> Line:
        """The line in which it stands here."""
        return line_of(gated, self._apart)

    def set_apart(self, tasks: Collection[str]) -> None:
        """From now on these tasks, and no others, stand in lines of their own."""
        if tasks != self._apart:
            self._apart = tasks
            self._drop_stale()

    def holds(self, due_ms: int, id: str) -> bool:
        """Whether the instance waits here, due at that time."""
        waiting = self._waiting.get(id)
        return waiting is not None and waiting.due_ms == due_ms

    def offer(self, gated: Gated) -> bool:
        """Take one in, or note its other time; False when there was no room."""
        if self.holds(gated.due_ms, gated.id):
            return True
        if gated.id not in self._waiting and len(self) >= self._capacity:
            self._is_cut = True
            return False
        if gated.id in self._waiting:
            self.discard(gated.id)
        self._waiting[gated.id] = gated
        self._enter(gated)
        return True

    def _enter(self, gated: Gated) -> None:
        line = self._by_line.setdefault(self.line_of(gated), [])
        heapq.heappush(line, rank(gated))
        if gated.start_deadline is not None:
            over_ms = gated.due_ms + -(-gated.start_deadline // _MILLISECOND)
            heapq.heappush(self._by_deadline, (over_ms, gated.id))

    def first(self, line: Line, count: int) -> Sequence[Gated]:
        """Those of the line that come first, at most so many; they stay."""
        heap = self._by_line.get(line, [])
        found: list[Gated] = []
        while heap and len(found) < count:
            _, due_ms, id = heapq.heappop(heap)
            # One that came back to an earlier time of its own may stand here twice.
            if self.holds(due_ms, id) and (not found or found[-1].id != id):
                found.append(self._waiting[id])
        for gated in found:
            heapq.heappush(heap, rank(gated))
        if not heap:
            self._by_line.pop(line, None)
        return found

    def next_deadline(self) -> int | None:
        """When the first start deadline is over; None when nobody here has one."""
        while self._by_deadline and self._by_deadline[0][1] not in self._waiting:
            heapq.heappop(self._by_deadline)
        return self._by_deadline[0][0] if self._by_deadline else None

    def take_late(self, now_ms: float, count: int) -> Sequence[Gated]:
        """Take out those whose start deadline is over, at most so many."""
        late: list[Gated] = []
        while len(late) < count and (over_ms := self.next_deadline()) is not None:
            if over_ms >= now_ms:
                break
            _, id = heapq.heappop(self._by_deadline)
            gated = self._waiting[id]
            if gated.start_deadline is None or (
                gated.due_ms + gated.start_deadline / _MILLISECOND >= now_ms
            ):
                continue  # it has moved since, and has another entry
            late.append(gated)
            self.discard(id)
        return late

    def discard(self, id: str) -> None:
        """Forget the id."""
        if self._waiting.pop(id, None) is not None:
            self._stale += 1
            if self._stale > len(self._waiting) + 1_000:
                self._drop_stale()

    def _drop_stale(self) -> None:
        """Build the heaps anew; what stands behind a long run would else stay for as long as that."""
        self._by_line, self._by_deadline, self._stale = {}, [], 0
        for gated in self._waiting.values():
            self._enter(gated)

    def is_short(self) -> bool:
        """Whether some found no room and now would; asked once for each time that it was full."""
        if not self._is_cut or len(self) > self._capacity // 2:
            return False
        self._is_cut = False
        return True
