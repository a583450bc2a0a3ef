"""Carries out what was decided of schedules: earlier runs are aborted, instances stored.

What a planner has decided stands on the schedule's record until it is carried out and confirmed. So a
node may die at any await: whoever finds the record does the same again, and doing it twice changes
nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

import structlog

from later_core.errors import InstanceEnded, InstanceNotFound, StoreUnavailable
from later_core.local.database_clock import DatabaseClock
from later_core.local.intake import Intake
from later_core.local.lease import Lease
from later_core.local.runs import Runs
from later_core.local.window import Window
from later_core.model.instance import Instance
from later_core.model.instant import from_millis
from later_core.model.planning import new_instance, placed
from later_core.model.schedule import Progress, Schedule
from later_core.model.state import State
from later_core.ports.schedules import ScheduleStep
from later_core.ports.store import Inserted, Store

_log = structlog.get_logger(__name__)

#: Instances and parameters of one insert.
_INSERT_MAX = 1_000
_INSERT_MAX_BYTES = 8 * 1024 * 1024


class Carrier:
    """Does what stands under ``starting`` and ``aborting`` of schedules."""

    def __init__(
        self,
        *,
        store: Store,
        window: Window,
        intake: Intake,
        runs: Runs,
        lease: Lease,
        database_clock: DatabaseClock,
    ) -> None:
        self._store = store
        self._window = window
        self._intake = intake
        self._runs = runs
        self._lease = lease
        self._database_clock = database_clock

    async def carry_out(self, schedules: Sequence[Schedule]) -> Sequence[Schedule]:
        """Do what is decided of these schedules, and confirm it; answers those that were confirmed.

        Of the others somebody else has: or they were changed or deleted meanwhile.

        Raises:
            StoreUnavailable: call again with the schedules as they are then.
        """
        for schedule in schedules:
            for id in schedule.progress.aborting:
                await self._abort(id)
        created = await self._store_instances(schedules)
        steps = [ScheduleStep(schedule, _confirmed(schedule)) for schedule in schedules]
        heard = await self._store.advance_schedules(steps)
        unheard = [s.before for s, is_heard in zip(steps, heard, strict=True) if not is_heard]
        await self._call_back(unheard, created)
        return [
            replace(step.before, progress=step.after)
            for step, is_heard in zip(steps, heard, strict=True)
            if is_heard
        ]

    async def _store_instances(self, schedules: Sequence[Schedule]) -> Mapping[str, list[str]]:
        """Store what is starting; answers by schedule the ids of those that are new."""
        created: dict[str, list[str]] = {schedule.id: [] for schedule in schedules}
        for batch in _batches(self._instances(schedules)):
            try:
                results = await self._store.insert(batch)
            except StoreUnavailable:
                # Some may be stored, and nobody would offer them before the next pull.
                self._window.doubt()
                raise
            for instance, result in zip(batch, results, strict=True):
                if not isinstance(result, Inserted):
                    _log.error("id of a schedule is taken", instance=result.id)
                    continue
                if result.is_new and instance.schedule_id is not None:
                    created[instance.schedule_id].append(instance.id)
                if result.instance.state is State.PENDING:
                    self._offer(result.instance)
        return created

    def _instances(self, schedules: Iterable[Schedule]) -> Iterator[Instance]:
        now = from_millis(int(self._database_clock.now_ms()))
        for schedule in schedules:
            for nominal in schedule.progress.starting:
                request = new_instance(schedule.id, schedule.spec, nominal)
                yield placed(schedule.id, request, now=now, principal=schedule.principal)

    async def _call_back(
        self, schedules: Sequence[Schedule], created: Mapping[str, list[str]]
    ) -> None:
        """Abort what was stored for a schedule that was deleted just before."""
        if not any(created[schedule.id] for schedule in schedules):
            return
        found = {s.id: s for s in await self._store.get_schedules([s.id for s in schedules])}
        for schedule in schedules:
            still = found.get(schedule.id)
            if still is None or still.create_time != schedule.create_time:
                for id in created[schedule.id]:
                    await self._abort(id)

    async def _abort(self, id: str) -> None:
        with suppress(InstanceEnded, InstanceNotFound):
            aborted = await self._store.abort(id)
            self._window.discard(id)
            self._runs.abort(aborted, node=self._lease.node)

    def _offer(self, instance: Instance) -> None:
        self._intake.offer(
            instance.task, instance.id, instance.execution_time, priority=instance.priority
        )


def _confirmed(schedule: Schedule) -> Progress:
    progress = schedule.progress
    return replace(progress, starting=(), aborting=(), step=progress.step + 1)


def _batches(instances: Iterable[Instance]) -> Iterator[list[Instance]]:
    batch: list[Instance] = []
    weight = 0
    for instance in instances:
        batch.append(instance)
        weight += len(instance.parameters)
        if len(batch) >= _INSERT_MAX or weight >= _INSERT_MAX_BYTES:
            yield batch
            batch, weight = [], 0
    if batch:
        yield batch
