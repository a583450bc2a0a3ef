"""Tell subscribers of every change: a snapshot or a token first, then the hub, without gap or repeat."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace
from datetime import timedelta

from later_core.errors import HistoryLost, TooManyWatches
from later_core.local.caller import caller
from later_core.local.database_clock import DatabaseClock
from later_core.local.hub import Hub, Subscription
from later_core.local.turnstile import Turnstile
from later_core.model.event import Event, EventBatch, EventType
from later_core.model.instance import Instance
from later_core.model.limits import SNAPSHOTS_AT_ONCE
from later_core.model.query import Filter
from later_core.ports.clock import Clock
from later_core.ports.store import Store

_BATCH = 500
#: A bookmark costs a message: a quiet subscriber gets one at most this often, in seconds.
_BOOKMARK_EVERY = 5.0
#: History younger than this is left to the hub.
_PRESENT = timedelta(seconds=1)


class Subscriptions:
    """Each watch has up to three phases: what exists, what was missed, what happens.

    What was missed is read from a feed of its own until it has caught up with the hub; from there
    the hub's one feed serves all. Positions compare as text, so the seam is exact.
    """

    def __init__(
        self,
        *,
        store: Store,
        hub: Hub,
        clock: Clock,
        database_clock: DatabaseClock,
        max_watches: int = 1024,
    ) -> None:
        self._store = store
        self._hub = hub
        self._clock = clock
        self._database_clock = database_clock
        self._max_watches = max_watches
        self._watches = 0
        self._turnstile = Turnstile()
        self._snapshots = asyncio.Semaphore(SNAPSHOTS_AT_ONCE)

    async def watch(
        self, filter: Filter, *, resume_token: str | None, include_existing: bool
    ) -> AsyncGenerator[EventBatch, None]:
        """Batches of events, for as long as the caller listens.

        A batch without events is a bookmark. While what exists is being told, the position is
        empty. Where history was lost a RESYNC event stands in its place.

        Raises:
            TooManyWatches, SubscriberTooSlow, ResumeTokenInvalid, StoreUnavailable.
        """
        if self._watches >= self._max_watches:
            raise TooManyWatches(self._max_watches)
        self._watches += 1
        try:
            async with aclosing(
                self._watch(
                    replace(filter, scope=caller().scope),
                    resume_token,
                    include_existing=include_existing,
                )
            ) as batches:
                async for batch in batches:
                    yield batch
        finally:
            self._watches -= 1

    async def _watch(
        self, filter: Filter, position: str | None, *, include_existing: bool
    ) -> AsyncGenerator[EventBatch, None]:
        resync = False
        if include_existing:
            try:
                async with self._snapshots, self._store.snapshot(filter) as snapshot:
                    async for page in snapshot.pages():
                        yield EventBatch(self._existing(page), "")
                    position = snapshot.position
            except HistoryLost:
                resync = True
        if position is not None:
            try:
                async with aclosing(self._catch_up(filter, position)) as missed:
                    async for batch in missed:
                        position = batch.position
                        yield batch
            except HistoryLost:
                resync, position = True, None
        async with aclosing(self._live(filter, position, resync=resync)) as live:
            async for batch in live:
                yield batch

    async def _catch_up(self, filter: Filter, position: str) -> AsyncGenerator[EventBatch, None]:
        """From a position to the present, as far as the store knows it."""
        async with aclosing(self._store.follow(position)) as feed:
            async for batch in feed:
                yield EventBatch(_matching(filter, batch.events), batch.position)
                if self._is_present(batch, position):
                    return

    def _is_present(self, batch: EventBatch, position: str) -> bool:
        """Whether what follows the batch is news; the seam covers the little that is not."""
        if batch.events:
            return self._database_clock.now() - batch.events[-1].event_time < _PRESENT
        # A bookmark that has not moved says nothing: the first answer may come before the history.
        return batch.position != position

    async def _live(
        self, filter: Filter, position: str | None, *, resync: bool
    ) -> AsyncGenerator[EventBatch, None]:
        with self._hub.subscribe(filter) as subscription:
            await subscription.started.wait()
            start = subscription.start or ""
            if resync:
                yield EventBatch([self._resync(start)], start)
            elif position is None:
                yield EventBatch([], start)
            if position is None:
                position = start
            if position < start:
                try:
                    async with aclosing(self._seam(filter, position, start)) as seam:
                        async for batch in seam:
                            yield batch
                except HistoryLost:
                    yield EventBatch([self._resync(start)], start)
                position = start
            async with aclosing(self._from_hub(subscription, position)) as news:
                async for batch in news:
                    yield batch

    async def _seam(
        self, filter: Filter, position: str, start: str
    ) -> AsyncGenerator[EventBatch, None]:
        """What lies between the end of the catching up and the start of the subscription."""
        async with aclosing(self._store.follow(position)) as feed:
            async for batch in feed:
                events = [event for event in batch.events if event.position <= start]
                yield EventBatch(_matching(filter, events), min(batch.position, start))
                if batch.position >= start:
                    return

    async def _from_hub(
        self, subscription: Subscription, position: str
    ) -> AsyncGenerator[EventBatch, None]:
        told_at = self._clock.monotonic()
        while True:
            await subscription.something()
            # What is taken is encoded and written from this turn of the event loop on.
            await self._turnstile.enter()
            batch = await subscription.take(_BATCH)
            # A subscriber that comes with a position ahead of the hub's has seen these already.
            if batch.position < position or (batch.events and batch.events[0].position <= position):
                events = [event for event in batch.events if event.position > position]
                batch = EventBatch(events, max(batch.position, position))
            now = self._clock.monotonic()
            if batch.events or now - told_at >= _BOOKMARK_EVERY:
                told_at = now
                yield batch

    def _existing(self, page: Sequence[Instance]) -> list[Event]:
        now = self._database_clock.now()
        return [
            Event(type=EventType.EXISTING, instance=instance, event_time=now, position="")
            for instance in page
        ]

    def _resync(self, position: str) -> Event:
        return Event(
            type=EventType.RESYNC,
            instance=None,
            event_time=self._database_clock.now(),
            position=position,
        )


def _matching(filter: Filter, events: Sequence[Event]) -> list[Event]:
    return [
        event for event in events if event.instance is not None and filter.matches(event.instance)
    ]
