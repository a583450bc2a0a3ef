"""Instances of a schedule that people ask for beside its rules, and the end of those that wait."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime

import uuid_utils

from later_core.errors import (
    InstanceAlreadyExists,
    InstanceEnded,
    InstanceNotFound,
    InvalidRequest,
    StoreUnavailable,
)
from later_core.local.caller import caller
from later_core.local.database_clock import DatabaseClock
from later_core.local.intake import Intake
from later_core.local.window import Window
from later_core.model import planning
from later_core.model.instance import Instance
from later_core.model.instant import from_millis
from later_core.model.limits import ID_MAX_LENGTH, PAGE_MAX_SIZE
from later_core.model.query import Filter
from later_core.model.schedule import Backfill, Schedule, ScheduleSpec
from later_core.model.state import State
from later_core.ports.store import IdTaken, InsertResult, Store
from later_core.service.instances import Instances

#: Candidates that one backfill looks at.
_LOOKS_MAX = 50_000


class ScheduleRuns:
    """Runs what is asked for now, and makes up for a past range."""

    def __init__(
        self,
        *,
        store: Store,
        instances: Instances,
        window: Window,
        intake: Intake,
        database_clock: DatabaseClock,
    ) -> None:
        self._store = store
        self._instances = instances
        self._window = window
        self._intake = intake
        self._database_clock = database_clock

    async def trigger(self, schedule: Schedule, request_id: str | None) -> Instance:
        """As ``Schedules.trigger`` says."""
        new_id = f"{schedule.id}@manual-{request_id or uuid_utils.uuid4().hex[:24]}"
        if len(new_id) > ID_MAX_LENGTH:
            raise InvalidRequest.of("request_id", "is too long for this schedule's id")
        now = self._now()
        request = replace(schedule.spec.template, id=new_id, execution_time=now, delay=None)
        placed = planning.placed(schedule.id, request, now=now, principal=caller().name)
        (result,) = await self._insert_held([placed])
        if isinstance(result, IdTaken):
            raise InstanceAlreadyExists(new_id)
        return result.instance

    async def backfill(
        self, schedule: Schedule, *, start: datetime, end: datetime, limit: int
    ) -> Backfill:
        """As ``Schedules.backfill`` says."""
        now = self._now()
        if not start < end <= now:
            raise InvalidRequest.of("end_time", "must be after start_time and not in the future")
        times, next_start = _times_within(schedule.spec, start, end, limit)
        instances = [
            # Due now and not then: its start would be past its deadline, its end past its retention.
            planning.placed(
                schedule.id,
                replace(
                    planning.new_instance(schedule.id, schedule.spec, time), execution_time=now
                ),
                now=now,
                principal=caller().name,
            )
            for time in times
        ]
        results = await self._insert_held(instances) if instances else ()
        created = sum(not isinstance(result, IdTaken) and result.is_new for result in results)
        return Backfill(created=created, existing=len(results) - created, next_start=next_start)

    async def abort_pending(self, id: str) -> None:
        """Abort what of the schedule of this id has not started."""
        filter = Filter(schedule_id=id, states=frozenset({State.PENDING}))
        after = None
        while True:
            page = await self._store.list(filter, after=after, limit=PAGE_MAX_SIZE)
            for instance in page.instances:
                with suppress(InstanceEnded, InstanceNotFound):
                    await self._instances.abort_unasked(instance.id)
            after = page.next
            if after is None:
                return

    async def _insert_held(self, instances: Sequence[Instance]) -> Sequence[InsertResult]:
        """What people ask for counts: a limit of what is PENDING has room for all of it, or for none."""
        held = await self._instances.places(caller(), len(instances))
        try:
            return await self._insert(instances)
        finally:
            if held is not None:
                held.drop()

    async def _insert(self, instances: Sequence[Instance]) -> Sequence[InsertResult]:
        try:
            results = await self._store.insert(instances)
        except StoreUnavailable:
            # Some may be stored: others leave what is due at once to the node that created it.
            self._window.doubt()
            self._offer(instances)
            raise
        self._offer(
            result.instance
            for result in results
            if not isinstance(result, IdTaken) and result.instance.state is State.PENDING
        )
        return results

    def _offer(self, instances: Iterable[Instance]) -> None:
        for instance in instances:
            self._intake.offer(
                instance.task, instance.id, instance.execution_time, priority=instance.priority
            )

    def _now(self) -> datetime:
        return from_millis(int(self._database_clock.now_ms()))


def _times_within(
    spec: ScheduleSpec, start: datetime, end: datetime, limit: int
) -> tuple[Sequence[datetime], datetime | None]:
    """The first times of ``start <= t < end``, and where the rest begins, if there is a rest."""
    times: list[datetime] = []
    candidates = planning.recurrence_of(spec).candidates(start, end)
    for looked_at, (time, fires) in enumerate(candidates):
        # A range with nothing but exclusions must not hold up the others.
        if len(times) == limit or looked_at == _LOOKS_MAX:
            return times, time
        if fires:
            times.append(time)
    return times, None
