"""What instances may need to begin: a slot of their key, a permit and a place of their task."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from later_core.engine.permits import PermitBook
from later_core.engine.places import Places
from later_core.engine.slots import Slots
from later_core.local.database_clock import DatabaseClock
from later_core.local.runs import Place, Run
from later_core.model.concurrency import Gated, Slot
from later_core.model.outcome import Outcome
from later_core.model.rate import Permit
from later_core.ports.clock import Clock

#: The shortest pause of a task that has no permit left, in seconds.
_DRY = 0.02


@dataclass(frozen=True, slots=True)
class Admitted:
    """An instance that may be claimed, with what it needed. Without any of it it is too late: MISSED."""

    gated: Gated
    #: Since when it may begin, in milliseconds since the Unix epoch by the database's clock.
    since_ms: float
    slot: Slot | None = None
    permit: Permit | None = None
    place: Place | None = None


class Means:
    """Those who give it. Slots are asked for by line, which is the trade of admission; permits and places by
    task, here.
    """

    def __init__(
        self,
        *,
        slots: Slots,
        permits: PermitBook,
        places: Places,
        clock: Clock,
        database_clock: DatabaseClock,
    ) -> None:
        self.slots = slots
        self.permits = permits
        self.places = places
        self._clock = clock
        self._database_clock = database_clock
        #: Until when no permit is asked for, by task and the monotonic clock.
        self._dry_until: dict[str, float] = {}

    def limited_tasks(self) -> frozenset[str]:
        """The tasks that need a permit or a place now."""
        return self.permits.tasks | self.places.tasks

    def note_outcome(self, run: Run, outcome: Outcome) -> None:
        """What the code of a run came to, for the breaker of its task, if it has one."""
        if self.places.has_breakers and run.says_something_of_its_task:
            self.places.note(run.instance.task, outcome, run.place)

    def suffice(self, run: Run) -> bool:
        """Whether a run that is about to begin has all that it needs now."""
        instance = run.instance
        if instance.concurrency is not None and run.slot is None:
            return False
        if run.permit is None and instance.task in self.permits.tasks:
            return False
        return self.places.lets(instance.task, run.place)

    def give_back(self, slot: Slot | None, permit: Permit | None, place: Place | None) -> None:
        """Their run is over, or never was. Never waits."""
        if place is not None:
            self.places.give_back(place)
        if permit is not None:
            self.permits.use(permit)
        if slot is not None:
            self.slots.give_back(slot)

    def may_ask_at(self, gated: Gated) -> float:
        """When a permit and a place may be asked for it, if it needs them, by the monotonic clock.

        A permit not before it is due: those that wait for their instances would all be used at once.
        """
        task, free_at = gated.task, float("-inf")
        if task in self.places.tasks:
            free_at = self.places.free_at(task)
        if task not in self.permits.tasks:
            return free_at
        left = (gated.due_ms - self._database_clock.now_ms()) / 1000.0
        due_at = self._clock.monotonic() + left
        return max(free_at, due_at, self._dry_until.get(task, float("-inf")))

    def has_room(self, task: str, room: dict[str, int]) -> bool:
        """Whether one more of the task may have a turn; ``room`` is what is left for it in this round."""
        if task not in self.places.tasks:
            return True
        left = room.setdefault(task, self.places.room(task))
        room[task] = left - 1
        return left > 0

    async def with_permits(self, passed: Sequence[Admitted]) -> list[Admitted]:
        """Those that need no permit, or have one now; the others let go of their slots."""
        by_task: defaultdict[str, list[Admitted]] = defaultdict(list)
        ready: list[Admitted] = []
        for one in passed:
            limited = by_task[one.gated.task] if one.gated.task in self.permits.tasks else ready
            limited.append(one)
        try:
            for task, waiting in by_task.items():
                permits = await self._reserve(task, len(waiting))
                for one, permit in zip(waiting, permits, strict=False):
                    since_ms = max(one.since_ms, permit.at_ms)
                    ready.append(replace(one, permit=permit, since_ms=since_ms))
                for one in waiting[len(permits) :]:
                    self.give_back(one.slot, None, None)
        except BaseException:
            for one in (*passed, *ready):
                self.give_back(one.slot, one.permit, None)
            raise
        return ready

    def with_places(self, ready: Sequence[Admitted]) -> Sequence[Admitted]:
        """Those that need no place, or have one now. Places only grow while others are waited for, but for
        a breaker that opens.
        """
        if not self.places.tasks:
            return ready
        placed = []
        for one in ready:
            if one.gated.task not in self.places.tasks:
                placed.append(one)
            elif (place := self.places.take(one.gated.task)) is not None:
                placed.append(replace(one, place=place))
            else:
                self.give_back(one.slot, one.permit, None)
        return placed

    async def _reserve(self, task: str, count: int) -> Sequence[Permit]:
        """Permits for some of so many; when that is not all, the task is left alone for a while."""
        room = min(count, self.permits.room(task))
        permits, more_ms = await self.permits.reserve(task, room) if room else ((), 0.0)
        if len(permits) < count:
            left = (more_ms - self._database_clock.now_ms()) / 1000.0
            pause = max(_DRY, left) + _DRY * random.random()  # noqa: S311 - no secret hangs on it
            self._dry_until[task] = self._clock.monotonic() + pause
        return permits
