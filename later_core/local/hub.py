"""Fan events out to subscribers, each with a bounded queue whose overflow has a name."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

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


@dataclass(frozen=True, slots=True)
class Weighed:
    """Events with their weights; one object for all subscribers that have the same filter."""

    batch: EventBatch
    weights: Sequence[int]
    total: int

    @classmethod
    def of(cls, events: Sequence[Event], weights: Sequence[int]) -> Weighed:
        """These events, at least one, up to the position of the last one."""
        return cls(EventBatch(events, events[-1].position), weights, sum(weights))

    def cut(self, at: int) -> tuple[Weighed, Weighed]:
        """The events before and those behind a place between two of them."""
        events, weights = self.batch.events, self.weights
        return self.of(events[:at], weights[:at]), self.of(events[at:], weights[at:])

    def fitting(self, events: int, size: int, *, at_least: int) -> int:
        """How many of the first ones are so many events and weigh so much at most."""
        if len(self.weights) <= events and self.total <= size:
            return len(self.weights)
        for count, one in enumerate(self.weights):
            size -= one
            if count >= events or (count >= at_least and size < 0):
                return count
        return len(self.weights)


class Subscription:
    """One subscriber's bounded queue. Events that do not match its filter never enter it."""

    def __init__(self, filter: Filter, *, max_events: int, max_bytes: int) -> None:
        self.filter = filter
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._queue: deque[Weighed] = deque()
        self._events = 0
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

    def put(self, news: Weighed | None, position: str) -> None:
        """Called by the hub with what matches, if anything, and the position behind it; never waits."""
        if self._overflowed:
            return
        if news is not None:
            fitting = news.fitting(
                self._max_events - self._events,
                self._max_bytes - self._bytes,
                at_least=0 if self._queue else 1,
            )
            if fitting < len(news.weights):
                self._overflowed = True
                news = news.cut(fitting)[0] if fitting else None
            if news is not None:
                self._hold(news)
        if not self._overflowed:
            self._bookmark = position
        self._wake.set()

    def _hold(self, news: Weighed) -> None:
        self._queue.append(news)
        self._events += len(news.weights)
        self._bytes += news.total

    async def something(self) -> None:
        """Wait until ``take`` has something to answer."""
        while not self._queue and self._bookmark is None and not self._overflowed:
            self._wake.clear()
            await self._wake.wait()

    async def take(self, limit: int) -> EventBatch:
        """The next events, at most this many; with none of them a bookmark.

        Raises:
            SubscriberTooSlow: the queue has overflowed, and what it held has been taken.
        """
        await self.something()
        parts = list(self._next(limit))
        if self._queue or self._overflowed:
            if parts:
                self._delivered = parts[-1].position
            elif self._overflowed:
                raise SubscriberTooSlow(self._delivered)
        elif self._bookmark is not None:
            self._delivered, self._bookmark = self._bookmark, None
        return EventBatch(
            [event for part in parts for event in part.events], self._delivered, parts
        )

    def _next(self, limit: int) -> Iterator[EventBatch]:
        """Whole batches as they were published, as far as they are within the limit; at least something."""
        room = limit
        while self._queue and room:
            first = self._queue.popleft()
            if len(first.weights) > room:
                if room < limit:
                    self._queue.appendleft(first)
                    return
                first, rest = first.cut(room)
                self._queue.appendleft(rest)
            room -= len(first.weights)
            self._events -= len(first.weights)
            self._bytes -= first.total
            yield first.batch


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
        # Equal filters are one object, by which is known what has been matched already.
        filter = next((one.filter for one in self._subscriptions if one.filter == filter), filter)
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
        weights = [weight(event) for event in batch.events]
        matched: dict[int, Weighed | None] = {}
        for subscription in tuple(self._subscriptions):
            if subscription.start is None:
                # The first batch after the feed was opened is a mere bookmark; should events come
                # with it they lie before the start that is promised here.
                subscription.begin(batch.position)
                continue
            key = id(subscription.filter)
            if key not in matched:
                matched[key] = _matching(subscription.filter, batch.events, weights)
            subscription.put(matched[key], batch.position)

    def pause(self) -> None:
        """The feed is closed for want of listeners: the next subscriber waits for a new start."""
        self._position = None


def _matching(filter: Filter, events: Sequence[Event], weights: Sequence[int]) -> Weighed | None:
    """What there is for those who have this filter; a RESYNC is for everyone."""
    if filter != Filter():
        wanted = [
            (event, size)
            for event, size in zip(events, weights, strict=True)
            if event.type is EventType.RESYNC
            or (event.instance is not None and filter.matches(event.instance))
        ]
        events, weights = [event for event, _ in wanted], [size for _, size in wanted]
    return Weighed.of(events, weights) if events else None
