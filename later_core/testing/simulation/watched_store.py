"""The one store of a simulation: the reference store, with somebody who looks on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

from later_core.model.concurrency import Slot
from later_core.model.event import EventType
from later_core.model.instance import Instance
from later_core.model.node import Node
from later_core.model.schedule import Schedule
from later_core.stores.memory import MemoryStore
from later_core.testing.simulation.ledger import Change, Ledger


class WatchedStore(MemoryStore):
    """Tells the ledger of every change and every lease, in the moment in which they are made."""

    def __init__(self, ledger: Ledger, check: Callable[[Change], None]) -> None:
        super().__init__(clock=ledger.clock)
        self._ledger = ledger
        self._check = check

    def forget_history(self) -> None:
        self._ledger.has_forgotten = True
        super().forget_history()

    async def beat(self, node: Node, *, lease: timedelta) -> datetime | None:
        now = await super().beat(node, lease=lease)
        if now is not None:
            self._ledger.renewed(node.id, lease)
        return now

    async def leave(self, node: str) -> None:
        await super().leave(node)
        self._ledger.leases.pop(node, None)

    def all_schedules(self) -> Mapping[str, Schedule]:
        """The schedules as they stand, by id."""
        return self._schedules

    def held_slots(self) -> Sequence[Slot]:
        """Every slot that is held."""
        return self._all_slots()

    def _write(self, after: Instance, type: EventType = EventType.UPDATED) -> Instance:
        before = self._ledger.rows.get(after.id)
        after = super()._write(after, type)
        self._check(self._ledger.wrote(type, before, after))
        return after
