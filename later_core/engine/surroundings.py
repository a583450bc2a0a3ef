"""What a change among the nodes means for this one: another share, another window."""

from __future__ import annotations

from collections.abc import Collection

import structlog

from later_core.local.database_clock import DatabaseClock
from later_core.local.intake import Intake
from later_core.local.membership import Membership
from later_core.local.window import Window
from later_core.model.instance import Instance
from later_core.model.node import NodeStatus

_log = structlog.get_logger(__name__)

#: What is due sooner than this is kept by its former owner too, in milliseconds: the new one may
#: not have pulled yet. The slower of the two meets a failed claim.
_OVERLAP_MS = 5_000


class Surroundings:
    """Fits the window to the nodes that the last heartbeat showed."""

    def __init__(
        self,
        *,
        membership: Membership,
        window: Window,
        intake: Intake,
        database_clock: DatabaseClock,
    ) -> None:
        self._membership = membership
        self._window = window
        self._intake = intake
        self._database_clock = database_clock

    @property
    def window_size(self) -> int:
        """How many near instances this node holds."""
        return len(self._window)

    def update(self, own: str, statuses: Collection[NodeStatus]) -> None:
        """Take in who lives; when that has changed, let go what others own and pull anew."""
        if not self._membership.update(own, statuses):
            return
        _log.info("membership changed", nodes=self._membership.size)
        until_ms = self._database_clock.now_ms() + _OVERLAP_MS
        self._window.retain(self._membership.may_own, until_ms=until_ms)
        self._window.doubt()

    def offer(self, instance: Instance) -> None:
        """A pending instance that this node has just recovered."""
        self._intake.offer(
            instance.task, instance.id, instance.execution_time, priority=instance.priority
        )

    def missed(self) -> None:
        """Something pending may never have been offered: pull anew."""
        self._window.doubt()
