"""Loop: stop the runs whose timeout is over, with one timer for all of them."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Mapping
from datetime import timedelta

from later_core.local.runs import Run, Stop
from later_core.model.instance import Instance
from later_core.ports.clock import Clock


class Deadlines:
    """The runs that have a timeout, in order of its end (by the monotonic clock)."""

    def __init__(self, clock: Clock, *, time_limits: Mapping[str, timedelta]) -> None:
        self._clock = clock
        #: By task, what no attempt may exceed.
        self._time_limits = time_limits
        self._heap: list[tuple[float, int, Run]] = []
        self._watched: set[int] = set()
        self._order = itertools.count()
        self._changed = asyncio.Event()

    def timeout_of(self, instance: Instance) -> timedelta | None:
        """How long an attempt may take: as the instance asks, and no longer than its task may."""
        if not self._time_limits:
            return instance.timeout
        asked, limit = instance.timeout, self._time_limits.get(instance.task)
        return asked if limit is None else limit if asked is None else min(asked, limit)

    def watch(self, run: Run, timeout: timedelta) -> None:
        """Stop the run as timed out, unless it is forgotten before."""
        end = self._clock.monotonic() + timeout.total_seconds()
        heapq.heappush(self._heap, (end, next(self._order), run))
        self._watched.add(id(run))
        if self._heap[0][2] is run:
            self._changed.set()

    def forget(self, run: Run) -> None:
        """The run has ended."""
        self._watched.discard(id(run))
        # Ended runs leave the heap when they surface, or here once they are the most of it.
        if len(self._heap) > 64 and len(self._heap) > 2 * len(self._watched):
            self._heap = [entry for entry in self._heap if id(entry[2]) in self._watched]
            heapq.heapify(self._heap)

    async def run(self) -> None:
        """Watch for ever."""
        while True:
            self._changed.clear()
            now = self._clock.monotonic()
            while self._heap and self._heap[0][0] <= now:
                _, _, run = heapq.heappop(self._heap)
                if id(run) in self._watched:
                    run.stop(Stop.TIMED_OUT)
            seconds = self._heap[0][0] - now if self._heap else None
            await self._clock.wait(self._changed, seconds)
