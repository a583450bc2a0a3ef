"""Loop: what was claimed ahead of time is held until its very execution time, with one timer for all."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Callable
from functools import partial

from later_core.local.database_clock import DatabaseClock
from later_core.local.runs import Run
from later_core.ports.clock import Clock
from later_core.ports.turns import first_in_each_turn


class Holder:
    """The runs that are not due yet, in order of their execution time.

    A timer and a sleeping asyncio task for each of them would cost more than the runs themselves. A
    run that is stopped while it is held is begun at once, so that its end is written.
    """

    def __init__(
        self, *, clock: Clock, database_clock: DatabaseClock, begin: Callable[[Run], None]
    ) -> None:
        self._clock = clock
        self._database_clock = database_clock
        self._begin = begin
        self._heap: list[tuple[int, int, Run]] = []
        self._order = itertools.count()
        self._changed = asyncio.Event()

    def hold(self, run: Run) -> None:
        """Begin the run when it is due by the database's clock; at once, when it is due already."""
        if run.due_ms <= self._database_clock.now_ms() or run.is_stopped():
            self._begin(run)
            return
        run.let_go = partial(self._let_go, run)
        heapq.heappush(self._heap, (run.due_ms, next(self._order), run))
        if self._heap[0][2] is run:
            self._changed.set()

    async def run(self) -> None:
        """Hold for ever. Timers may fire early: the clock decides, and is read again after each.

        From a timer to the task that waits for it the loop takes two turns, each of which may be long. So
        the timer only ends the loop's sleep, and what is due is begun first thing in that very turn.
        """
        with first_in_each_turn(self._begin_due):
            while True:
                self._changed.clear()
                left_ms = self._begin_due()
                seconds = None if left_ms is None else left_ms / 1000.0
                await self._clock.wait(self._changed, seconds)

    def _begin_due(self) -> float | None:
        """Begin what is due; milliseconds until the next one is, None when nothing is held."""
        while self._heap:
            left_ms = self._heap[0][0] - self._database_clock.now_ms()
            if left_ms > 0:
                return left_ms
            self._let_go(heapq.heappop(self._heap)[2])
        return None

    def _let_go(self, run: Run) -> None:
        if run.let_go is not None:
            run.let_go = None
            self._begin(run)
