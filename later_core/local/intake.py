"""Which pending instances belong into this node's window."""

from __future__ import annotations

from datetime import datetime

from later_core.local.database_clock import DatabaseClock
from later_core.local.membership import Membership
from later_core.local.window import Window
from later_core.model.instant import to_millis


class Intake:
    """One door into the window for everything that this node hears of between two pulls."""

    #: What is due sooner than this, in milliseconds, is taken in by whoever hears of it first: the
    #: news may not reach its owner in time. The owner then meets a failed claim.
    SOON_MS = 1_000

    def __init__(
        self, *, window: Window, membership: Membership, database_clock: DatabaseClock
    ) -> None:
        self._window = window
        self._membership = membership
        self._database_clock = database_clock

    def offer(self, task: str, id: str, execution_time: datetime, *, priority: int) -> None:
        """Take in a pending instance that this node has itself created or changed, if it is near.

        One whose task is not installed here stays with those that have it: claimed here it could
        only be handed back, again and again.
        """
        due_ms = to_millis(execution_time)
        now_ms = self._database_clock.now_ms()
        is_soon = due_ms < now_ms + self.SOON_MS and self._membership.can_run(task)
        if self._window.covers(due_ms) and (is_soon or self._membership.owns(task, id)):
            held = self._window.due_of(id)
            if held is not None and held != due_ms:
                # Answers may overtake one another: which is the newer word only the store knows.
                self._window.doubt()
            self._window.offer(due_ms, id, now_ms=now_ms, priority=priority)

    def offer_news(self, task: str, id: str, execution_time: datetime, *, priority: int) -> None:
        """Take in a pending instance that the store's feed told of, if it is near and this node's."""
        due_ms = to_millis(execution_time)
        if self._window.covers(due_ms) and self._membership.owns(task, id):
            now_ms = self._database_clock.now_ms()
            self._window.offer(due_ms, id, now_ms=now_ms, priority=priority)
