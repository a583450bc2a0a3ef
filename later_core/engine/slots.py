"""The slots of concurrency keys that this node holds, and how none of them is lost."""

from __future__ import annotations

from collections.abc import Sequence

from later_core.local.lease import Lease
from later_core.model.concurrency import Concurrency, Slot
from later_core.ports.clock import Clock
from later_core.ports.store import Store

#: Slots named in one call.
_BATCH = 1_000
#: A call without an answer may still take slots for so long, in seconds; they are looked for again and
#: again, and now and then whatever happens.
_LATE_CALLS = 30.0
_LOOK_EVERY = 2.0
_LOOK_ANYWAY = 30.0


class Slots:
    """Takes, gives back and sweeps; used by one loop, so that no two of these are under way at once.

    Whoever was given a slot gives it back. What is lost between two hands (a call without an answer, a
    loop that failed) is nobody's, and the sweep frees it. What a dead node held is freed by the keepers
    of the living.
    """

    def __init__(self, *, store: Store, lease: Lease, clock: Clock) -> None:
        self._store = store
        self._lease = lease
        self._clock = clock
        self._serial = 0
        #: Those that are, or may be, in somebody's hand here.
        self._held: dict[int, Slot] = {}
        self._given_back: list[Slot] = []
        self._in_doubt_until = float("-inf")
        self._looked_at = float("-inf")

    async def take(self, wanted: Sequence[tuple[str, Concurrency]]) -> Sequence[Slot | None]:
        """A slot for each of these instances, in their order; None where there was none.

        Raises:
            StoreUnavailable: none is in anybody's hand; the sweep frees what was taken.
        """
        slots = [self._new(id, concurrency) for id, concurrency in wanted]
        self._held.update((slot.serial, slot) for slot in slots)
        try:
            answers = await self._store.take_slots(slots)
        except BaseException:
            for slot in slots:
                del self._held[slot.serial]
            self.doubt()
            raise
        for slot, is_held in zip(slots, answers, strict=True):
            if not is_held:
                del self._held[slot.serial]
        return [slot if is_held else None for slot, is_held in zip(slots, answers, strict=True)]

    def give_back(self, slot: Slot) -> None:
        """The slot's run is over, or never was; ``write`` frees it. Doing so again changes nothing."""
        if self._held.pop(slot.serial, None) is not None:
            self._given_back.append(slot)

    async def write(self) -> Sequence[str]:
        """Free what was given back, and say of which keys.

        Raises:
            StoreUnavailable: try again; it is not forgotten.
        """
        keys: list[str] = []
        while self._given_back:
            slots = self._given_back[:_BATCH]
            await self._store.give_back_slots(slots)
            del self._given_back[: len(slots)]
            keys += [slot.key for slot in slots]
        return keys

    def doubt(self) -> None:
        """Say that the store may hold slots for this node which nobody has in hand."""
        self._in_doubt_until = self._clock.monotonic() + _LATE_CALLS

    async def sweep(self) -> None:
        """Free those, if it is time to look for them again.

        Raises:
            StoreUnavailable.
        """
        moment = self._clock.monotonic()
        every = _LOOK_EVERY if moment < self._in_doubt_until else _LOOK_ANYWAY
        if not self._serial or moment < self._looked_at + every or not self._lease.is_held:
            return
        # What is taken from here on has a larger serial.
        keep = tuple(self._held)
        await self._store.sweep_slots(self._lease.node, up_to=self._serial, keep=keep)
        self._looked_at = self._clock.monotonic()

    def _new(self, id: str, concurrency: Concurrency) -> Slot:
        self._serial += 1
        return Slot(
            key=concurrency.key,
            id=id,
            node=self._lease.node,
            serial=self._serial,
            limit=concurrency.limit,
        )
