"""The permits of tasks with a rate limit that this node has in hand."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import timedelta

from later_core.model.rate import Permit, RateLimit
from later_core.ports.store import Store

#: Permits are reserved for starts no further ahead than this: what a node that dies takes with it.
AHEAD = timedelta(milliseconds=250)


class PermitBook:
    """Reserves permits in batches, and never holds more unused ones of a task than ``in_hand``.

    So whatever this node does with them (starts late, stands still, has no thread free), it adds no more
    than those to what starts in any span of time.
    """

    def __init__(self, *, store: Store, rates: Mapping[str, RateLimit]) -> None:
        self._store = store
        self._rates = rates
        #: The tasks that have a rate limit.
        self.tasks = frozenset(rates)
        self._serial = 0
        #: By task, those with which no code has begun yet. A thread may take one out.
        self._unused: defaultdict[str, set[int]] = defaultdict(set)

    def room(self, task: str) -> int:
        """How many more permits of the task may be reserved now."""
        return max(0, self._rates[task].in_hand(AHEAD) - len(self._unused[task]))

    async def reserve(self, task: str, count: int) -> tuple[Sequence[Permit], float]:
        """Permits, at most so many, and when there may be more (milliseconds since the Unix epoch).

        Raises:
            StoreUnavailable: what was reserved without an answer is lost.
        """
        rate = self._rates[task]
        permits = await self._store.reserve_permits(task, rate, count=count, ahead=AHEAD)
        reserved = []
        for number in range(permits.count):
            self._serial += 1
            self._unused[task].add(self._serial)
            at_ms = (permits.first_us + number * rate.spacing_us) / 1000.0
            reserved.append(Permit(task=task, serial=self._serial, at_ms=at_ms))
        return reserved, permits.next_us / 1000.0 - AHEAD / timedelta(milliseconds=1)

    def use(self, permit: Permit) -> None:
        """Code begins with it at this moment, or it came to nothing; again changes nothing."""
        self._unused[permit.task].discard(permit.serial)
