"""What the in-memory store remembers of its changes, and who waits for the next one."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime

from later_core.errors import HistoryLost, ResumeTokenInvalid
from later_core.model.event import Event, EventType
from later_core.model.instance import Instance
from later_core.model.limits import RESPONSE_MAX_BYTES
from later_core.model.state import State

#: Digits of a position: padded with zeros, so that positions compare as strings.
_POSITION_LENGTH = 20

#: The most events that are told at once.
_BATCH_MAX_EVENTS = 1000


class History:
    """The last changes in order, numbered from 1. Position n is the place just behind change n."""

    def __init__(self, *, length: int) -> None:
        self._length = length
        self._events: list[Event] = []
        # How many changes were made before the first one in the list.
        self._dropped = 0
        # In order of their coming, so that they are woken in one order.
        self._listeners: dict[asyncio.Event, None] = {}

    @property
    def end(self) -> int:
        """The number of the last change."""
        return self._dropped + len(self._events)

    def append(self, type: EventType, instance: Instance, event_time: datetime) -> None:
        """Remember one more change and wake who waits for it."""
        position = position_of(self.end + 1)
        self._events.append(
            Event(type=type, instance=instance, event_time=event_time, position=position)
        )
        # Dropped many at a time: each drop moves what stays.
        if len(self._events) > 2 * self._length:
            self._drop(len(self._events) - self._length)
        for listener in self._listeners:
            listener.set()

    def after(self, number: int) -> Sequence[Event]:
        """The changes behind this one, as many as are told at once.

        Raises:
            HistoryLost: some of them are forgotten.

        """
        if number < max(self._dropped, self.end - self._length):
            raise HistoryLost
        events: list[Event] = []
        weight = 0
        start = number - self._dropped
        for event in self._events[start : start + _BATCH_MAX_EVENTS]:
            events.append(event)
            weight += payload_bytes(event.instance) if event.instance else 0
            if weight >= RESPONSE_MAX_BYTES:
                break
        return events

    def number_of(self, position: str) -> int:
        """The change that a position lies behind.

        Raises:
            ResumeTokenInvalid: no change ever had this position.

        """
        is_number = position.isascii() and position.isdigit()
        if not is_number or len(position) != _POSITION_LENGTH or int(position) > self.end:
            raise ResumeTokenInvalid
        return int(position)

    def forget(self) -> None:
        """Drop every change so far."""
        self._drop(len(self._events))

    @contextmanager
    def listener(self) -> Iterator[asyncio.Event]:
        """An event that every change sets."""
        event = asyncio.Event()
        self._listeners[event] = None
        try:
            yield event
        finally:
            del self._listeners[event]

    def _drop(self, count: int) -> None:
        del self._events[:count]
        self._dropped += count


def position_of(number: int) -> str:
    """The position just behind the change of this number."""
    return f"{number:0{_POSITION_LENGTH}d}"


def is_news(event: Event) -> bool:
    """Whether other nodes must know. (A store may tell more: that nobody counts on it is seen here.)"""
    instance = event.instance
    return instance is None or instance.state in (State.PENDING, State.ABORTED)


def payload_bytes(instance: Instance) -> int:
    """What an instance counts towards ``RESPONSE_MAX_BYTES``."""
    return len(instance.parameters) + len(instance.result)
