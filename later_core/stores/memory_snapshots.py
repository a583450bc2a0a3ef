"""Moments that the in-memory store remembers, and how they are read."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from later_core.errors import HistoryLost, ResumeTokenInvalid
from later_core.model.instance import Instance
from later_core.model.limits import PAGE_MAX_SIZE, RESPONSE_MAX_BYTES
from later_core.model.query import Filter, PageKey
from later_core.model.schedule import Schedule
from later_core.ports.store import Snapshot
from later_core.stores.memory_history import payload_bytes

#: So many moments can be read at again.
_KEPT = 8
#: How many schedules a page holds.
_SCHEDULES = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Everything:
    """All there is at one moment: instances in order of (execution_time, id), schedules of id."""

    position: str
    time: datetime
    instances: Sequence[Instance]
    schedules: Sequence[Schedule]


class Moments:
    """The last moments that somebody looked at."""

    def __init__(self) -> None:
        self._count = 0
        self._kept: OrderedDict[str, Everything] = OrderedDict()

    def see(self, everything: Callable[[], Everything]) -> tuple[str, Everything]:
        """Remember what there is now, by a name of its own."""
        self._count += 1
        moment = str(self._count)
        self._kept[moment] = everything()
        if len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
        return moment, self._kept[moment]

    def at(self, moment: str) -> tuple[str, Everything]:
        """What there was at a moment.

        Raises:
            HistoryLost, ResumeTokenInvalid.

        """
        if moment in self._kept:
            return moment, self._kept[moment]
        if moment.isascii() and moment.isdigit() and 0 < int(moment[:20]) <= self._count:
            raise HistoryLost
        raise ResumeTokenInvalid

    def forget(self) -> None:
        """Let go of all of them."""
        self._kept.clear()


class MemorySnapshot(Snapshot):
    """What there was, read page by page."""

    def __init__(self, seen: tuple[str, Everything], filter: Filter, after: PageKey | None) -> None:
        self.moment, self._everything = seen
        self.position = self._everything.position
        self.time = self._everything.time
        self._filter = filter
        self._after = None if after is None else (after.execution_time, after.id)

    async def estimate(self) -> int:
        return len(self._everything.instances)

    async def pages(self) -> AsyncIterator[Sequence[Instance]]:
        remaining = (
            instance
            for instance in self._everything.instances
            if (self._after is None or (instance.execution_time, instance.id) > self._after)
            and self._filter.matches(instance)
        )
        while page := take(remaining, PAGE_MAX_SIZE):
            yield page

    async def schedules(self, *, after: str | None = None) -> AsyncIterator[Sequence[Schedule]]:
        rest = [s for s in self._everything.schedules if after is None or s.id > after]
        for start in range(0, len(rest), _SCHEDULES):
            yield rest[start : start + _SCHEDULES]


def take(instances: Iterator[Instance], limit: int) -> Sequence[Instance]:
    """The next ones, until there are ``limit`` or their payloads fill a response."""
    page: list[Instance] = []
    weight = 0
    while len(page) < limit and weight < RESPONSE_MAX_BYTES:
        instance = next(instances, None)
        if instance is None:
            break
        page.append(instance)
        weight += payload_bytes(instance)
    return page
