"""Loop: take what gated instances need, a slot, a permit, a place, and pass them on to be claimed."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Self

import structlog

from later_core.engine.means import Admitted, Means
from later_core.engine.supervisor import backoff
from later_core.errors import StoreUnavailable
from later_core.local.database_clock import DatabaseClock
from later_core.local.lease import Lease
from later_core.local.lobby import Line, Lobby, rank
from later_core.local.runs import Place, Runs
from later_core.model.concurrency import Concurrency, Gated, Slot
from later_core.model.limits import CONCURRENCY_MAX
from later_core.model.rate import Permit
from later_core.ports.clock import Clock

_log = structlog.get_logger(__name__)

#: Instances that are admitted in one round.
_BATCH = 1_000
#: A key that was full is asked for again after so many seconds, half of them by chance: another node may
#: have given a slot back. One that is given back on this node is passed on at once.
POLL = 0.5
_LONGEST_SLEEP = 1.0
#: The shortest pause between two looks at a line, in seconds.
_SHORTEST_SLEEP = 0.01


class Admission:
    """The gate between the lobby and the dispatcher.

    A slot goes this way: taken here, handed to the dispatcher with its instance, by that to the run, and
    given back when the run has ended or was never claimed.
    """

    def __init__(
        self,
        *,
        means: Means,
        lobby: Lobby,
        runs: Runs,
        lease: Lease,
        clock: Clock,
        database_clock: DatabaseClock,
        wake: Callable[[], None],
        look_again: Callable[[], None],
    ) -> None:
        self.means = means
        self._slots = means.slots
        self._places = means.places
        self._places.on_change = self._note_tasks
        self._lobby = lobby
        self._runs = runs
        self._lease = lease
        self._clock = clock
        self._database_clock = database_clock
        #: Tells the dispatcher that somebody is admitted; tells the feeder to pull.
        self._wake = wake
        self._look_again = look_again
        self._admitted: deque[Admitted] = deque()
        #: Until when no slot is asked for in a line, by the monotonic clock.
        self._full_until: dict[Line, float] = {}
        self._changed = asyncio.Event()
        self._failures = 0
        self._stopping = False
        #: The tasks whose instances a claim leaves alone: those that need a permit or a place.
        self.limited_tasks: frozenset[str] = frozenset()
        self._note_tasks()

    def _note_tasks(self) -> None:
        self.limited_tasks = self.means.limited_tasks()
        self._lobby.set_apart(self._places.tasks)
        self._changed.set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Give back what ended last; what cannot be is free once this node has left."""
        try:
            await self._slots.write()
        except StoreUnavailable as error:
            _log.warning("slots not given back", detail=error.detail)

    def offer(self, waiting: Iterable[Gated]) -> None:
        """Let these wait. What finds no room is found again by a pull."""
        for gated in waiting:
            self._lobby.offer(gated)
        self._changed.set()

    def pop(self, limit: int) -> list[Admitted]:
        """Take over admitted instances, at most so many, with all they hold and the room kept for them."""
        taken = [self._admitted.popleft() for _ in range(min(limit, len(self._admitted)))]
        self._runs.keep_room(-len(taken))
        return taken

    def give_back(self, slot: Slot | None, permit: Permit | None, place: Place | None) -> None:
        """Their run is over, or never was. Never waits."""
        self.means.give_back(slot, permit, place)
        if slot is not None or place is not None:
            self._changed.set()

    def stop(self) -> None:
        """Admit nothing more; what the dispatcher has not taken over stays PENDING."""
        self._stopping = True
        for admitted in self.pop(len(self._admitted)):
            self.give_back(admitted.slot, admitted.permit, admitted.place)

    async def run(self) -> None:
        """Admit for ever."""
        while True:
            self._changed.clear()
            try:
                for key in await self._slots.write():
                    self._open(key)
                await self._slots.sweep()
                await self._admit()
                self._failures = 0
            except StoreUnavailable as error:
                self._failures += 1
                _log.warning("admission failed", waiting=len(self._lobby), detail=error.detail)
                await self._clock.sleep(backoff(self._failures))
            else:
                if self._lobby.is_short():
                    self._look_again()
                await self._clock.wait(self._changed, self._pause())

    def _open(self, key: str) -> None:
        """A slot of the key is free: whoever waits for one may ask."""
        self._full_until.pop(("key", key), None)
        for task in self._places.tasks:
            self._full_until.pop(("key", key, task), None)

    def _pause(self) -> float:
        """Seconds until somebody must be looked at again: a line, a start deadline, a lost slot."""
        moment = self._clock.monotonic()
        pause = _LONGEST_SLEEP
        lines = self._lobby.lines
        if lines and self._lease.is_held and self._runs.room:
            self._full_until = {
                line: until for line, until in self._full_until.items() if until > moment
            }
            soonest = min(map(self._opens_at, lines))
            pause = min(pause, max(_SHORTEST_SLEEP, soonest - moment))
        over_ms = self._lobby.next_deadline()
        if over_ms is not None:
            # By the next whole millisecond it is over.
            left = (over_ms + 1 - self._database_clock.now_ms()) / 1000.0
            pause = min(pause, max(_SHORTEST_SLEEP, left))
        return pause

    def _opens_at(self, line: Line) -> float:
        """When whoever stands first in the line may have a turn."""
        opens_at = self._full_until.get(line, float("-inf"))
        for first in self._lobby.first(line, 1):
            opens_at = max(opens_at, self.means.may_ask_at(first))
        return opens_at

    async def _admit(self) -> None:
        if self._stopping or not self._lease.is_held:
            return
        self._admit_late()
        waiting = self._next()
        if not waiting:
            return
        self._runs.keep_room(len(waiting))
        admitted: Sequence[Admitted] = ()
        try:
            ready = await self._with_slots(waiting)
            admitted = self.means.with_places(await self.means.with_permits(ready))
            if len(admitted) < len(ready):
                self._changed.set()  # they have let go of their slots, which are to be written
        finally:
            self._runs.keep_room(len(admitted) - len(waiting))
        self._hand_over(admitted)

    def _hand_over(self, admitted: Sequence[Admitted]) -> None:
        """To the dispatcher; or back where it came from, when that has stopped meanwhile."""
        if self._stopping:
            for one in admitted:
                self.give_back(one.slot, one.permit, one.place)
            self._runs.keep_room(-len(admitted))
            return
        for one in admitted:
            self._lobby.discard(one.gated.id)
        self._admitted.extend(admitted)
        self._wake()
        self._changed.set()  # a line that was not full may have room for more

    def _admit_late(self) -> None:
        """Who can no longer begin in time needs nothing to be MISSED, but room to be claimed."""
        now_ms = self._database_clock.now_ms()
        late = self._lobby.take_late(now_ms, min(_BATCH, self._runs.room))
        if late:
            self._runs.keep_room(len(late))
            self._admitted.extend(Admitted(gated, now_ms) for gated in late)
            self._wake()

    def _next(self) -> list[tuple[Gated, Concurrency | None]]:
        """Who is to have a turn next, with the limit to ask by: of each line in order of time.

        Behind one with a small limit nobody passes with a larger one: it would never have its turn.
        """
        moment = self._clock.monotonic()
        chosen: list[tuple[Gated, Concurrency | None]] = []
        most = min(_BATCH, self._runs.room)
        room: dict[str, int] = {}
        for line in self._in_turn():
            if len(chosen) >= most:
                break
            if self._opens_at(line) > moment:
                continue
            limit = CONCURRENCY_MAX
            for count, gated in enumerate(self._lobby.first(line, most - len(chosen))):
                asked = gated.concurrency
                if asked is not None:
                    limit = min(limit, asked.limit)
                    if count >= limit:
                        break
                    asked = replace(asked, limit=limit)
                if self.means.may_ask_at(gated) > moment or not self.means.has_room(
                    gated.task, room
                ):
                    break
                chosen.append((gated, asked))
        return chosen

    def _in_turn(self) -> Iterable[Line]:
        """The lines; where tasks wait for places, in order of who stands first, since lines share those."""
        if not self._places.tasks:
            return self._lobby.lines
        ranked = [
            (rank(first), line)
            for line in self._lobby.lines
            for first in self._lobby.first(line, 1)
        ]
        return [line for _, line in sorted(ranked)]

    async def _with_slots(
        self, waiting: Sequence[tuple[Gated, Concurrency | None]]
    ) -> list[Admitted]:
        """Those that need no slot, or have one now."""
        wanted = [(gated.id, asked) for gated, asked in waiting if asked is not None]
        found = iter(await self._slots.take(wanted) if wanted else ())
        slots = [None if asked is None else next(found) for _, asked in waiting]
        since_ms = self._database_clock.now_ms()
        passed = []
        for (gated, asked), slot in zip(waiting, slots, strict=True):
            if asked is not None and slot is None:
                pause = POLL * (0.5 + random.random() / 2)  # noqa: S311 - no secret hangs on it
                self._full_until[self._lobby.line_of(gated)] = self._clock.monotonic() + pause
            else:
                passed.append(Admitted(gated, since_ms, slot))
        return passed
