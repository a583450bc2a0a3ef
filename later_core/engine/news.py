"""What happens elsewhere and concerns this node: near work, and aborts of what it runs."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from later_core.local.intake import Intake
from later_core.local.lease import Lease
from later_core.local.membership import Membership
from later_core.local.runs import Runs, was_aborted_running
from later_core.local.window import Window
from later_core.model.event import Event, EventType
from later_core.model.state import State
from later_core.ports.store import Aborted

#: Due sooner than this after its creation, an instance is surely in its creator's own window. Half
#: of what the creator goes by: between the two clock readings nothing may fall to neither of them.
_SURELY_TAKEN = timedelta(milliseconds=Intake.SOON_MS / 2)


class News:
    """Takes from the store's feed what this node's window and runs must know.

    Alone, a node hears of everything first hand, and the feed could only tell it again.
    """

    def __init__(
        self,
        *,
        window: Window,
        intake: Intake,
        runs: Runs,
        lease: Lease,
        membership: Membership,
    ) -> None:
        self._window = window
        self._intake = intake
        self._runs = runs
        self._lease = lease
        self._membership = membership

    def take(self, event: Event) -> None:
        """One event of the feed, in order."""
        instance = event.instance
        if self._membership.is_alone or instance is None:
            return
        if instance.state is State.PENDING:
            # Who created what is due at once has it in its own window already; but a node that
            # drains may start nothing more.
            if (
                event.type is EventType.UPDATED
                or self._membership.is_anyone_leaving
                or instance.execution_time > instance.create_time + _SURELY_TAKEN
            ):
                self._intake.offer_news(instance.task, instance.id, instance.execution_time)
        elif instance.state is State.ABORTED:
            self._window.discard(instance.id)
            # Who aborted a pending one calls back, even where this node had run it before.
            if was_aborted_running(instance) and instance.node == self._lease.node:
                before = replace(instance, state=State.RUNNING, finish_time=None)
                self._runs.abort(Aborted(before, instance), node=self._lease.node)

    def missed(self) -> None:
        """Something may have been missed: a pull makes up for it."""
        if not self._membership.is_alone:
            self._window.doubt()
