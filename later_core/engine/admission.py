"""Loop: take slots for the instances that wait for one, and give back what is free."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Self

import structlog

from later_core.engine.supervisor import backoff
from later_core.errors import StoreUnavailable
from later_core.local.database_clock import DatabaseClock
from later_core.local.lease import Lease
from later_core.local.lobby import Lobby
from later_core.local.runs import Runs
from later_core.model.concurrency import Gated, Slot
from later_core.model.limits import CONCURRENCY_MAX
from later_core.ports.clock import Clock
from later_core.ports.store import Store

_log = structlog.get_logger(__name__)

#: Slots asked for in one call.
_BATCH = 1_000
#: A key that was full is asked for again after so many seconds, half of them by chance: another node may
#: have given a slot back. One that is given back on this node is passed on at once.
POLL = 0.5
#: A call without an answer may still take slots for so long, in seconds; they are looked for again and
#: again, and now and then whatever happens.
_LATE_CALLS = 30.0
_LOOK_EVERY = 2.0
_LOOK_ANYWAY = 30.0
_LONGEST_SLEEP = 1.0


@dataclass(frozen=True, slots=True)
class Admitted:
    """An instance that may be claimed. Without a slot it is too late: it is claimed to be MISSED."""

    gated: Gated
    slot: Slot | None
    #: When it was admitted, in milliseconds since the Unix epoch by the database's clock.
    since_ms: float


class Admission:
    """The gate between the lobby and the dispatcher.

    A slot goes this way: taken here, handed to the dispatcher with its instance, by that to the run, and
    given back when the run has ended or was never claimed. Whoever holds it gives it back; what is lost
    between two hands (a call without an answer, a loop that failed) is nobody's, and the sweep frees it.
    What a dead node held is freed by the keepers of the living.
    """

    def __init__(
        self,
        *,
        store: Store,
        lobby: Lobby,
        runs: Runs,
        lease: Lease,
        clock: Clock,
        database_clock: DatabaseClock,
        wake: Callable[[], None],
        look_again: Callable[[], None],
    ) -> None:
        self._store = store
        self._lobby = lobby
        self._runs = runs
        self._lease = lease
        self._clock = clock
        self._database_clock = database_clock
        #: Tells the dispatcher that somebody is admitted; tells the feeder to pull.
        self._wake = wake
        self._look_again = look_again
        self._serial = 0
        #: Slots that are, or may be, in somebody's hand here.
        self._held: dict[int, Slot] = {}
        self._given_back: list[Slot] = []
        self._admitted: deque[Admitted] = deque()
        #: Until when a key need not be asked for, by the monotonic clock.
        self._full_until: dict[str, float] = {}
        self._changed = asyncio.Event()
        self._in_doubt_until = float("-inf")
        self._looked_at = float("-inf")
        self._failures = 0
        self._stopping = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Give back what ended last; what cannot be is free once this node has left."""
        try:
            await self._give_back()
        except StoreUnavailable as error:
            _log.warning("slots not given back", detail=error.detail)

    def offer(self, waiting: Iterable[Gated]) -> None:
        """Let these wait. What finds no room is found again by a pull."""
        for gated in waiting:
            self._lobby.offer(gated)
        self._changed.set()

    def pop(self, limit: int) -> list[Admitted]:
        """Take over admitted instances, at most so many, with their slots and the room kept for them."""
        taken = [self._admitted.popleft() for _ in range(min(limit, len(self._admitted)))]
        self._runs.keep_room(-len(taken))
        return taken

    def give_back(self, slot: Slot) -> None:
        """The slot's run is over, or never was. Never waits."""
        if self._held.pop(slot.serial, None) is not None:
            self._given_back.append(slot)
            self._changed.set()

    def stop(self) -> None:
        """Admit nothing more; what the dispatcher has not taken over stays PENDING."""
        self._stopping = True
        for admitted in self.pop(len(self._admitted)):
            if admitted.slot is not None:
                self.give_back(admitted.slot)

    async def run(self) -> None:
        """Admit for ever."""
        while True:
            self._changed.clear()
            try:
                await self._give_back()
                await self._sweep()
                await self._admit()
                self._failures = 0
            except StoreUnavailable as error:
                self._failures += 1
                self._doubt()
                _log.warning("admission failed", waiting=len(self._lobby), detail=error.detail)
                await self._clock.sleep(backoff(self._failures))
            else:
                if self._lobby.is_short():
                    self._look_again()
                await self._clock.wait(self._changed, self._pause())

    def _doubt(self) -> None:
        self._in_doubt_until = self._clock.monotonic() + _LATE_CALLS

    def _pause(self) -> float:
        """Seconds until somebody must be looked at again: a full key, a start deadline, a lost slot."""
        moment = self._clock.monotonic()
        pause = _LONGEST_SLEEP
        if self._lobby.keys and self._lease.is_held and self._runs.room:
            soonest = min(self._full_until.get(key, moment) for key in self._lobby.keys)
            pause = min(pause, max(0.01, soonest - moment))
        over_ms = self._lobby.next_deadline()
        if over_ms is not None:
            # By the next whole millisecond it is over.
            left = (over_ms + 1 - self._database_clock.now_ms()) / 1000.0
            pause = min(pause, max(0.01, left))
        return pause

    # -- giving back -------------------------------------------------------------------------

    async def _give_back(self) -> None:
        """Write what was given back, until that is known to be written."""
        while self._given_back:
            slots = self._given_back[:_BATCH]
            await self._store.give_back_slots(slots)
            del self._given_back[: len(slots)]
            for slot in slots:
                self._full_until.pop(slot.key, None)

    async def _sweep(self) -> None:
        """Free what the store holds for this node and nobody here does."""
        moment = self._clock.monotonic()
        every = _LOOK_EVERY if moment < self._in_doubt_until else _LOOK_ANYWAY
        if not self._serial or moment < self._looked_at + every or not self._lease.is_held:
            return
        # No call is under way: what is taken from here on has a larger serial.
        await self._store.sweep_slots(self._lease.node, up_to=self._serial, keep=tuple(self._held))
        self._looked_at = self._clock.monotonic()
        self._full_until.clear()

    # -- admitting ---------------------------------------------------------------------------

    async def _admit(self) -> None:
        if self._stopping or not self._lease.is_held:
            return
        self._admit_late()
        waiting = self._next()
        if not waiting:
            return
        slots = [self._slot_for(gated, limit) for gated, limit in waiting]
        self._held.update((slot.serial, slot) for slot in slots)
        self._runs.keep_room(len(slots))
        try:
            answers = await self._store.take_slots(slots)
        except BaseException:
            # Whether they were taken nobody knows, so they are nobody's: the sweep finds them.
            for slot in slots:
                del self._held[slot.serial]
            self._runs.keep_room(-len(slots))
            self._doubt()
            raise
        since_ms = self._database_clock.now_ms()
        for (gated, _), slot, is_held in zip(waiting, slots, answers, strict=True):
            self._settle(Admitted(gated, slot, since_ms), is_held=is_held)
        self._note_full(slots, answers)
        self._wake()
        self._changed.set()  # a key that was not full may have room for more

    def _settle(self, admitted: Admitted, *, is_held: bool) -> None:
        """One answer: hand it on to the dispatcher, or let go of it and of its room."""
        slot = admitted.slot
        if slot is not None and is_held and not self._stopping:
            self._lobby.discard(admitted.gated.id)
            self._admitted.append(admitted)
            return
        self._runs.keep_room(-1)
        if slot is not None and is_held:
            self.give_back(slot)
        elif slot is not None:
            del self._held[slot.serial]

    def _admit_late(self) -> None:
        """Who can no longer begin in time needs no slot to be MISSED, but room to be claimed."""
        now_ms = self._database_clock.now_ms()
        late = self._lobby.take_late(now_ms, min(_BATCH, self._runs.room))
        if late:
            self._runs.keep_room(len(late))
            self._admitted.extend(Admitted(gated, None, now_ms) for gated in late)
            self._wake()

    def _next(self) -> list[tuple[Gated, int]]:
        """Who is to have a slot next, with the limit to ask by: of each key in order of time.

        Behind one with a small limit nobody passes with a larger one: it would never have its turn.
        """
        moment = self._clock.monotonic()
        chosen: list[tuple[Gated, int]] = []
        most = min(_BATCH, self._runs.room)
        for key in self._lobby.keys:
            if self._full_until.get(key, moment) > moment:
                continue
            limit, count = CONCURRENCY_MAX, 0
            for gated in self._lobby.first(key, most - len(chosen)):
                if gated.concurrency is None:
                    continue
                limit = min(limit, gated.concurrency.limit)
                if count >= limit:
                    break
                chosen.append((gated, limit))
                count += 1
            if len(chosen) >= most:
                break
        return chosen

    def _slot_for(self, gated: Gated, limit: int) -> Slot:
        self._serial += 1
        key = gated.concurrency.key if gated.concurrency else ""
        return Slot(key=key, id=gated.id, node=self._lease.node, serial=self._serial, limit=limit)

    def _note_full(self, slots: Sequence[Slot], answers: Sequence[bool]) -> None:
        full_until = self._clock.monotonic() + POLL * (0.5 + random.random() / 2)  # noqa: S311 - no secret hangs on it
        for slot, is_held in zip(slots, answers, strict=True):
            if not is_held:
                self._full_until[slot.key] = full_until
