"""Schedules at which the planner is to look at once."""

from __future__ import annotations

import asyncio
from collections.abc import Collection


class Doorbell:
    """Where services and the end of runs tell the planner of a schedule.

    Only a way to be quick: a planner looks at what is near every second, and a ring too many costs a
    read. So when very many rang and nobody has answered yet, others are not heard.
    """

    _CAPACITY = 10_000

    def __init__(self) -> None:
        #: Set when somebody has rung. Clear it before taking the ids.
        self.rung = asyncio.Event()
        self._ids: set[str] = set()

    def ring(self, schedule: str) -> None:
        """The schedule of this id was made or changed, or a run of it has ended."""
        if len(self._ids) < self._CAPACITY:
            self._ids.add(schedule)
            self.rung.set()

    def take(self) -> Collection[str]:
        """The ids that rang since the last call."""
        ids, self._ids = self._ids, set()
        return ids
