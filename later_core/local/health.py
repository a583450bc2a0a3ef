"""Whether this node can keep its promises at this moment."""

from __future__ import annotations

import asyncio


class Health:
    """Two facts, told by those who know: the database answers, and the scheduler loop runs."""

    def __init__(self) -> None:
        self._store_answers = False
        self._loop_runs = False
        #: Set at each change of ``is_serving``.
        self.changed = asyncio.Event()

    @property
    def is_serving(self) -> bool:
        """Both facts hold."""
        return self._store_answers and self._loop_runs

    def store_answers(self, answers: bool) -> None:
        """Told by the keeper after each heartbeat."""
        before = self.is_serving
        self._store_answers = answers
        self._note(before)

    def loop_runs(self, runs: bool) -> None:
        """Told as the dispatcher begins and ends."""
        before = self.is_serving
        self._loop_runs = runs
        self._note(before)

    def _note(self, before: bool) -> None:
        if self.is_serving != before:
            self.changed.set()
