"""The slots and permits of the reference store."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from later_core.model.concurrency import Gated, Slot
from later_core.model.instance import Instance
from later_core.model.instant import to_millis
from later_core.model.rate import Permits, RateLimit, reserve
from later_core.model.state import State
from later_core.ports.admission import AdmissionStore

_Name = tuple[str, int]


class MemoryAdmission(AdmissionStore):
    """A part of ``MemoryStore``; the other parts hold the instances and the nodes."""

    #: Of the part that holds them.
    _instances: dict[str, Instance]

    def __init__(self) -> None:
        super().__init__()
        #: The held slots of each key, by node and serial.
        self._slots: dict[str, dict[_Name, Slot]] = {}

        #: When the next permit of each task is for, in microseconds since the Unix epoch.
        self._next_permit: dict[str, int] = {}

    @abstractmethod
    async def _yield(self) -> None: ...

    @abstractmethod
    def _now(self) -> datetime: ...

    @abstractmethod
    def _living(self) -> Collection[str]:
        """The nodes that nobody has declared dead."""

    async def gated(
        self, ids: Sequence[str], *, until: datetime, tasks: Collection[str] = ()
    ) -> Sequence[Gated]:
        await self._yield()
        return [
            Gated(
                id=instance.id,
                task=instance.task,
                due_ms=to_millis(instance.execution_time),
                concurrency=instance.concurrency,
                priority=instance.priority,
                start_deadline=instance.start_deadline,
            )
            for instance in self._due_ones(ids, until)
            if instance.concurrency is not None or instance.task in tasks
        ]

    async def take_slots(self, slots: Sequence[Slot]) -> Sequence[bool]:
        await self._yield()
        return [self._take_slot(slot) for slot in slots]

    async def give_back_slots(self, slots: Sequence[Slot]) -> None:
        await self._yield()
        for slot in slots:
            self._let_go(slot.key, (slot.node, slot.serial))

    async def sweep_slots(self, node: str, *, up_to: int, keep: Collection[int]) -> None:
        await self._yield()
        for slot in self._all_slots():
            if slot.node == node and slot.serial <= up_to and slot.serial not in keep:
                self._let_go(slot.key, (slot.node, slot.serial))

    async def free_slots(self) -> None:
        await self._yield()
        living = self._living()
        for slot in self._all_slots():
            if slot.node not in living:
                self._let_go(slot.key, (slot.node, slot.serial))

    async def reserve_permits(
        self, task: str, rate: RateLimit, *, count: int, ahead: timedelta
    ) -> Permits:
        await self._yield()
        permits = reserve(
            rate,
            next_us=self._next_permit.get(task, 0),
            now_us=to_millis(self._now()) * 1000,
            count=count,
            ahead=ahead,
        )
        self._next_permit[task] = permits.next_us
        return permits

    async def slots(self, key: str) -> Sequence[Slot]:
        await self._yield()
        return [replace(slot, limit=0) for slot in self._slots.get(key, {}).values()]

    def _all_slots(self) -> list[Slot]:
        return [slot for held in self._slots.values() for slot in held.values()]

    def _take_slot(self, slot: Slot) -> bool:
        held = self._slots.get(slot.key, {})
        name = (slot.node, slot.serial)
        if name not in held and len(held) >= slot.limit:
            return False
        self._slots.setdefault(slot.key, held)[name] = slot
        return True

    def _let_go(self, key: str, name: _Name) -> None:
        held = self._slots.get(key, {})
        held.pop(name, None)
        if not held:
            self._slots.pop(key, None)

    def _due_ones(self, ids: Sequence[str], until: datetime) -> Iterator[Instance]:
        """Those of the ids that are PENDING and due by then, each once."""
        for id in dict.fromkeys(ids):
            instance = self._instances.get(id)
            if (
                instance is not None
                and instance.state is State.PENDING
                and instance.execution_time <= until
            ):
                yield instance
