"""Fan events out to subscribers, each with a bounded queue whose overflow has a name."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from later_core.errors import SubscriberTooSlow
from later_core.model.event import Event, EventBatch, EventType
from later_core.model.query import Filter

#: What the bookkeeping of an event weighs beside its parameters and result, in bytes.
_EVENT_OVERHEAD = 1024


def weight(event: Event) -> int:
    """Roughly what an event holds in memory, in bytes."""
    instance = event.instance
    if instance is None:
        return _EVENT_OVERHEAD
    return _EVENT_OVERHEAD + len(instance.parameters) + len(instance.result)


class Subscription:
    """One subscriber's bounded queue. Events that do not match its filter never enter it."""

    def __init__(self, filter: Filter, *, max_events: int, max_bytes: int) -> None:
        self._filter = filter
        self._takes_all = filter == Filter()
        self._max_events = max_events
        self._max_bytes = max_bytes
        #: Each with its weight.
        self._events: deque[tuple[Event, int]] = deque()
        self._bytes = 0
        self._wake = asyncio.Event()
        self._overflowed = False
        self._bookmark: str | None = None
        #: Where the subscription began: it holds every event behind this, and none before.
        self.start: str | None = None
        #: Set once ``start`` is known.
        self.started = asyncio.Event()
        self._delivered = ""

    def begin(self, position: str) -> None:
        """Called by the hub as soon as it knows where it stands."""
        if self.start is None:
            self.start = self._delivered = position
            self.started.set()

    def put(self, weighed: Sequence[tuple[Event, int]], position: str) -> None:
        """Called by the hub with events, their weights, and the position behind them; never waits."""
        if self._overflowed:
            return
        for event, size in weighed if self._takes_all else self._wanted(weighed):
            if len(self._events) >= self._max_events or (
                self._events and self._bytes + size > self._max_bytes
            ):
                self._overflowed = True
                self._wake.set()
                return
            self._events.append((event, size))
            self._bytes += size
        self._bookmark = position
        self._wake.set()

    def _wanted(self, weighed: Sequence[tuple[Event, int]]) -> Iterator[tuple[Event, int]]:
        for event, size in weighed:
            if event.type is EventType.RESYNC or (
                event.instance is not None and self._filter.matches(event.instance)
            ):
                yield event, size

    async def something(self) -> None:
        """Wait until ``take`` has something to answer."""
        while not self._events and self._bookmark is None and not self._overflowed:
            self._wake.clear()
            await self._wake.wait()

    async def take(self, limit: int) -> EventBatch:
        """The next events, at most this many; with none of them a bookmark.

        Raises:
            SubscriberTooSlow: the queue has overflowed, and what it held has been taken.
        """
        await self.something()
        taken = [self._events.popleft() for _ in range(min(limit, len(self._events)))]
        events = [event for event, _ in taken]
        self._bytes -= sum(size for _, size in taken)
        if self._events or self._overflowed:
            self._delivered = events[-1].position if events else self._delivered
            if not events and self._overflowed:
                raise SubscriberTooSlow(self._delivered)
        elif self._bookmark is not None:
            self._delivered, self._bookmark = self._bookmark, None
        return EventBatch(events, self._delivered)


class Hub:
    """All events of the store pass here, in one order, to everyone who subscribed."""

    def __init__(self, *, max_events: int = 10_000, max_bytes: int = 32 * 1024 * 1024) -> None:
        self._max_events = max_events
        self._max_bytes = max_bytes
        # In order of their coming, so that they are told in one order.
        self._subscriptions: dict[Subscription, None] = {}
        self._position: str | None = None
        #: Set while somebody listens: only then is the store's feed read.
        self.is_wanted = asyncio.Event()

    def __len__(self) -> int:
        return len(self._subscriptions)

    @contextmanager
    def subscribe(self, filter: Filter) -> Iterator[Subscription]:
        """Hold a subscription for the length of the block."""
        subscription = Subscription(filter, max_events=self._max_events, max_bytes=self._max_bytes)
        self._subscriptions[subscription] = None
        if self._position is not None:
            subscription.begin(self._position)
        self._note_wanted()
        try:
            yield subscription
        finally:
            del self._subscriptions[subscription]
            self._note_wanted()

    def _note_wanted(self) -> None:
        if self._subscriptions:
            self.is_wanted.set()
        else:
            self.is_wanted.clear()

    def publish(self, batch: EventBatch) -> None:
        """Called by the follower with each batch of the store's feed."""
        self._position = batch.position
        weighed = [(event, weight(event)) for event in batch.events]
        for subscription in tuple(self._subscriptions):
            if subscription.start is None:
                # The first batch after the feed was opened is a mere bookmark; should events come
                # with it they lie before the start that is promised here.
                subscription.begin(batch.position)
            else:
                subscription.put(weighed, batch.position)

    def pause(self) -> None:
        """The feed is closed for want of listeners: the next subscriber waits for a new start."""
        self._position = None
