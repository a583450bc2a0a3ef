"""Loop: what happens elsewhere and concerns this node: near work, and aborts of what it runs."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import replace
from datetime import timedelta

import structlog

from later_core.engine.supervisor import backoff
from later_core.errors import HistoryLost, StoreUnavailable
from later_core.local.feed_lag import FeedLag
from later_core.local.intake import Intake
from later_core.local.lease import Lease
from later_core.local.membership import Membership
from later_core.local.runs import Runs, was_aborted_running
from later_core.local.window import Window
from later_core.model.event import Event, EventType
from later_core.model.state import State
from later_core.ports.clock import Clock
from later_core.ports.store import Aborted, Store

_log = structlog.get_logger(__name__)

#: Due sooner than this after its creation, an instance is surely in its creator's own window. Half
#: of what the creator goes by: between the two clock readings nothing may fall to neither of them.
_SURELY_TAKEN = timedelta(milliseconds=Intake.SOON_MS / 2)


class News:
    """Takes from the store's news what this node's window and runs must know.

    Alone, a node hears of everything first hand, and reads none. What subscribers are told is another
    feed: every change, which would cost every node of a cluster three times as much.
    """

    def __init__(
        self,
        *,
        store: Store,
        window: Window,
        intake: Intake,
        runs: Runs,
        lease: Lease,
        membership: Membership,
        clock: Clock,
        lag: FeedLag,
    ) -> None:
        self._store = store
        self._window = window
        self._intake = intake
        self._runs = runs
        self._lease = lease
        self._membership = membership
        self._clock = clock
        self._lag = lag
        self._position: str | None = None
        self._failures = 0

    async def run(self) -> None:
        """Listen for ever, while there are others, from where the last reading ended."""
        while True:
            await self._membership.has_neighbours.wait()
            try:
                await self._listen()
                self._position = None
                self._lag.paused()
            except HistoryLost:
                _log.warning("news lost, pulling anew")
                self._position = None
            except StoreUnavailable as error:
                self._failures += 1
                _log.warning("news broken", failures=self._failures, detail=error.detail)
                await self._clock.sleep(backoff(self._failures))

    async def _listen(self) -> None:
        """Take what is told until nobody else lives."""
        async with aclosing(self._store.news(self._position)) as news:
            async for batch in news:
                self._failures = 0
                if self._position is None:
                    # What was told before this is in no news: a pull makes up for it.
                    self._window.doubt()
                self._position = batch.position
                self._lag.took(batch.events[-1].event_time if batch.events else None)
                for event in batch.events:
                    self._take(event)
                if self._membership.is_alone:
                    return

    def _take(self, event: Event) -> None:
        instance = event.instance
        if instance is None:
            return
        if instance.state is State.PENDING:
            # Who created what is due at once has it in its own window already; but a node that
            # drains may start nothing more.
            if (
                event.type is EventType.UPDATED
                or self._membership.is_anyone_leaving
                or instance.execution_time > instance.create_time + _SURELY_TAKEN
            ):
                self._intake.offer_news(
                    instance.task,
                    instance.id,
                    instance.execution_time,
                    priority=instance.priority,
                )
        elif instance.state is State.ABORTED:
            self._window.discard(instance.id)
            # Who aborted a pending one calls back, even where this node had run it before.
            if was_aborted_running(instance) and instance.node == self._lease.node:
                before = replace(instance, state=State.RUNNING, finish_time=None)
                self._runs.abort(Aborted(before, instance), node=self._lease.node)
