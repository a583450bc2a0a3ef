"""The schedules of the reference store, and what planners ask of their instances."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from later_core.model.bucket import bucket_of
from later_core.model.instance import Instance
from later_core.model.limits import RESPONSE_MAX_BYTES
from later_core.model.schedule import Schedule, ScheduleFilter
from later_core.model.state import State
from later_core.ports.schedules import (
    ACTIVE_MAX,
    FailedRun,
    LookKey,
    ScheduleStep,
    ScheduleStore,
)


class MemorySchedules(ScheduleStore):
    """One half of ``MemoryStore``; the other half holds the instances."""

    def __init__(self) -> None:
        super().__init__()
        self._schedules: dict[str, Schedule] = {}
        #: The instances of each schedule by id; whatever has a ``schedule_id`` is noted here.
        self._instances_of: dict[str, dict[str, Instance]] = {}

    @abstractmethod
    async def _yield(self) -> None: ...

    async def insert_schedule(self, schedule: Schedule) -> Schedule:
        await self._yield()
        return self._schedules.setdefault(schedule.id, schedule)

    async def get_schedules(self, ids: Collection[str]) -> Sequence[Schedule]:
        await self._yield()
        return [self._schedules[id] for id in sorted(set(ids)) if id in self._schedules]

    async def list_schedules(
        self, filter: ScheduleFilter, *, after: str | None, limit: int
    ) -> tuple[Sequence[Schedule], str | None]:
        await self._yield()
        page: list[Schedule] = []
        weight = 0
        for id, schedule in sorted(self._schedules.items()):
            if (after is not None and id <= after) or not filter.matches(schedule):
                continue
            if len(page) == limit or weight >= RESPONSE_MAX_BYTES:
                return page, page[-1].id
            page.append(schedule)
            weight += len(schedule.spec.template.parameters)
        return page, None

    def _all_schedules(self) -> Sequence[Schedule]:
        return [schedule for _, schedule in sorted(self._schedules.items())]

    async def change_schedule(self, before: Schedule, after: Schedule) -> bool:
        await self._yield()
        return self._move(before, after)

    async def delete_schedule(self, before: Schedule) -> bool:
        await self._yield()
        return self._move(before, None)

    async def schedules_due(
        self,
        *,
        until: datetime,
        buckets: Collection[int] | None,
        after: LookKey | None,
        limit: int,
    ) -> Sequence[Schedule]:
        await self._yield()
        due = sorted(
            ((schedule.look_time, schedule.id) for schedule in self._near(until, buckets)),
        )
        behind = [key for key in due if after is None or key > (after.look_time, after.id)]
        return [self._schedules[id] for _, id in behind[:limit]]

    async def advance_schedules(self, steps: Sequence[ScheduleStep]) -> Sequence[bool]:
        await self._yield()
        return [
            self._move(step.before, replace(step.before, progress=step.after)) for step in steps
        ]

    async def active_instances(self, schedules: Collection[str]) -> Mapping[str, Sequence[str]]:
        await self._yield()
        active = {id: self._of(id, State.PENDING, State.RUNNING) for id in schedules}
        return {id: [i.id for i in found[:ACTIVE_MAX]] for id, found in active.items() if found}

    async def last_failures(self, schedules: Collection[str]) -> Mapping[str, FailedRun]:
        await self._yield()
        found = {
            id: [
                FailedRun(i.id, i.finish_time) for i in self._of(id, State.FAILED) if i.finish_time
            ]
            for id in schedules
        }
        return {
            id: max(failed, key=lambda run: run.finish_time)
            for id, failed in found.items()
            if failed
        }

    async def schedule_counts(
        self, schedules: Collection[str]
    ) -> Mapping[str, Mapping[State, int]]:
        await self._yield()
        return {id: {state: len(self._of(id, state)) for state in State} for id in schedules}

    def _note(self, instance: Instance) -> None:
        """An instance is as it is now."""
        if instance.schedule_id is not None:
            self._instances_of.setdefault(instance.schedule_id, {})[instance.id] = instance

    def _forget(self, instance: Instance) -> None:
        """An instance is no more."""
        if instance.schedule_id is not None:
            self._instances_of[instance.schedule_id].pop(instance.id, None)

    def _of(self, schedule: str, *states: State) -> list[Instance]:
        instances = self._instances_of.get(schedule, {})
        return [instance for instance in instances.values() if instance.state in states]

    def _near(self, until: datetime, buckets: Collection[int] | None) -> Iterator[Schedule]:
        return (
            schedule
            for schedule in self._schedules.values()
            if (look_time := schedule.look_time) is not None
            and look_time <= until
            and (buckets is None or bucket_of(schedule.id) in buckets)
        )

    def _move(self, before: Schedule, after: Schedule | None) -> bool:
        stored = self._schedules.get(before.id)
        if stored is None or _place(stored) != _place(before):
            return False
        if after is None:
            del self._schedules[before.id]
        else:
            self._schedules[before.id] = after
        return True


def _place(schedule: Schedule) -> tuple[datetime, int, int]:
    """Where a schedule stands among those that it has been."""
    return schedule.create_time, schedule.revision, schedule.progress.step
