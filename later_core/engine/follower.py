"""Loop: the store's feed goes to the hub and to event plugins."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import aclosing

import structlog

from later_core.engine.supervisor import backoff
from later_core.errors import HistoryLost, StoreUnavailable
from later_core.local.database_clock import DatabaseClock
from later_core.local.feed_lag import FeedLag
from later_core.local.hub import Hub
from later_core.model.event import Event, EventBatch, EventType
from later_core.ports.clock import Clock
from later_core.ports.store import Store

_log = structlog.get_logger(__name__)


class Follower:
    """Reads the feed while somebody listens; one door, so that there is one order and one token."""

    def __init__(
        self,
        *,
        store: Store,
        hub: Hub,
        clock: Clock,
        database_clock: DatabaseClock,
        on_event: Callable[[Event], None] | None = None,
        lag: FeedLag | None = None,
    ) -> None:
        self._store = store
        self._hub = hub
        self._clock = clock
        self._database_clock = database_clock
        self._on_event = on_event
        self._lag = lag
        self._position: str | None = None
        self._gap = False
        self._failures = 0

    async def run(self) -> None:
        """Follow for ever, from where the last one ended; with plugins that listen, without pause."""
        while True:
            if not self._on_event:
                await self._hub.is_wanted.wait()
            try:
                await self._follow()
                # Closing the feed takes a moment: who came meanwhile counts on what follows.
                if not self._hub.is_wanted.is_set():
                    self._position = None
                    self._hub.pause()
                    if self._lag:
                        self._lag.paused()
            except HistoryLost:
                # Said to every subscriber: never silently moved on.
                _log.error("history lost, subscribers are told to resync")
                self._position = None
                self._gap = True
            except StoreUnavailable as error:
                self._failures += 1
                _log.warning("feed broken", failures=self._failures, detail=error.detail)
                await self._clock.sleep(backoff(self._failures))

    async def _follow(self) -> None:
        """Publish until nobody listens any more."""
        async with aclosing(self._store.follow(self._position)) as feed:
            async for batch in feed:
                self._failures = 0
                self._position = batch.position
                if self._lag:
                    self._lag.took(batch.events[-1].event_time if batch.events else None)
                self._publish(self._announce_gap(batch))
                if not self._on_event and not self._hub.is_wanted.is_set():
                    return

    def _announce_gap(self, batch: EventBatch) -> EventBatch:
        if not self._gap:
            return batch
        self._gap = False
        resync = Event(
            type=EventType.RESYNC,
            instance=None,
            event_time=self._database_clock.now(),
            position=batch.position,
        )
        return EventBatch([resync, *batch.events], batch.position)

    def _publish(self, batch: EventBatch) -> None:
        if self._on_event:
            for event in batch.events:
                self._on_event(event)
        self._hub.publish(batch)
