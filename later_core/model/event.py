"""An event: one change of one instance, as a subscriber sees it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from later_core.model.instance import Instance
from later_core.model.value import value


class EventType(StrEnum):
    """CREATED and UPDATED are changes; EXISTING opens a watch that asked for it; RESYNC says that
    changes may have been missed, so that what the subscriber knows must be read anew.
    """

    CREATED = "CREATED"
    UPDATED = "UPDATED"
    EXISTING = "EXISTING"
    RESYNC = "RESYNC"


@value
class Event:
    """One change. ``instance`` is as it was after the change (None for RESYNC only).

    ``position`` is the place in the store's history just behind this event: positions of one store
    compare as strings in the order of history. ``event_time`` is the database's, UTC.
    """

    type: EventType
    instance: Instance | None
    event_time: datetime
    position: str


@dataclass(frozen=True, slots=True)
class EventBatch:
    """Events in order, and the position behind them; with no events it is a bookmark.

    ``parts`` are the batches it was joined from, if any: the same ones for many subscribers, who
    can be told of each with what was made for the first of them.
    """

    events: Sequence[Event]
    position: str
    parts: Sequence[EventBatch] = field(default=(), compare=False, repr=False)
