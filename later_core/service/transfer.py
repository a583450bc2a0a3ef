"""Everything out, as it was at one moment, and in again: export and import."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field, replace
from typing import Self

from later_core.errors import (
    HistoryLost,
    InstanceDiffers,
    InvalidRequest,
    LaterError,
    ScheduleDiffers,
    SnapshotLost,
    StoreUnavailable,
)
from later_core.local.intake import Intake
from later_core.model.instance import Instance
from later_core.model.limits import EXPORTS_AT_ONCE
from later_core.model.planning import recurrence_of
from later_core.model.query import Filter, PageKey
from later_core.model.schedule import Schedule
from later_core.model.state import State
from later_core.model.transfer import (
    ExportPart,
    ExportPlace,
    ImportOptions,
    ImportReport,
    Restored,
    after_loss,
    judge_schedule,
)
from later_core.ports.store import Snapshot, Store
from later_core.service.changes import Changes

#: How often a schedule may change between the look and the write.
_ROUNDS = 5
_DONE = frozenset({Restored.IMPORTED, Restored.REPLACED})
_EVERYTHING = Filter()

PAUSE_NOTE = "paused by an import"


@dataclass(slots=True)
class _Tally:
    """What an ``ImportReport`` is made of, while it grows."""

    instances: Counter[Restored] = field(default_factory=Counter)
    schedules: Counter[Restored] = field(default_factory=Counter)
    recovered: int = 0
    failed_instances: list[tuple[str, LaterError]] = field(default_factory=list)
    failed_schedules: list[tuple[str, LaterError]] = field(default_factory=list)


class Transfer:
    """Export reads one moment and keeps nothing of it here; import stores each thing by itself."""

    def __init__(self, *, store: Store, intake: Intake) -> None:
        self._store = store
        self._intake = intake
        self._changes = Changes()
        self._exports = asyncio.Semaphore(EXPORTS_AT_ONCE)

    async def __aenter__(self) -> Self:
        await self._changes.__aenter__()
        return self

    async def __aexit__(self, *failure: object) -> None:
        await self._changes.__aexit__(*failure)

    async def export(
        self, filter: Filter, *, place: ExportPlace | None, only_instances: bool
    ) -> AsyncGenerator[ExportPart, None]:
        """The instances that match, then all schedules, as they were at one moment.

        With a place it goes on there, at the moment of that export. The first part, which may hold
        nothing, comes at once.

        Raises:
            SnapshotLost, ResumeTokenInvalid, StoreUnavailable, EncryptionKeyMissing.
        """
        try:
            async with (
                self._exports,
                self._store.snapshot(
                    filter,
                    moment=place.moment if place else None,
                    after=place.instance if place else None,
                ) as snapshot,
            ):
                begin = place or ExportPlace(moment=snapshot.moment)
                yield ExportPart(
                    place=begin,
                    time=snapshot.time,
                    estimated_instances=(
                        await snapshot.estimate() if filter == _EVERYTHING else None
                    ),
                )
                async for part in _parts(snapshot, begin, only_instances=only_instances):
                    yield part
        except HistoryLost:
            raise SnapshotLost from None

    async def import_batch(
        self,
        instances: Sequence[Instance],
        schedules: Sequence[Schedule],
        options: ImportOptions,
    ) -> ImportReport:
        """Store a part of an export, as ``options`` say. Repeating it changes nothing.

        Instances come before the schedules that they belong to: a schedule that plans at once must
        find them. What is overdue is started soon.

        Raises:
            StoreUnavailable: some of it may be stored.
        """
        return await self._changes.carry(self._import(instances, schedules, options))

    async def _import(
        self,
        instances: Sequence[Instance],
        schedules: Sequence[Schedule],
        options: ImportOptions,
    ) -> ImportReport:
        tally = _Tally()
        for some in _without_namesakes(instances):
            await self._import_instances(some, options, tally)
        for schedule in schedules:
            if options.only_ended:
                tally.schedules[Restored.LEFT_OUT] += 1
                continue
            try:
                tally.schedules[await self._import_schedule(schedule, options)] += 1
            except (InvalidRequest, ScheduleDiffers) as error:
                tally.failed_schedules.append((schedule.id, error))
        return ImportReport(
            instances=tally.instances,
            schedules=tally.schedules,
            recovered=tally.recovered,
            failed_instances=tally.failed_instances,
            failed_schedules=tally.failed_schedules,
        )

    async def _import_instances(
        self, instances: Sequence[Instance], options: ImportOptions, tally: _Tally
    ) -> None:
        asked = [
            (after_loss(instance, at=options.exported_at), instance.state is State.RUNNING)
            for instance in instances
            if instance.state.is_final or not options.only_ended
        ]
        tally.instances[Restored.LEFT_OUT] += len(instances) - len(asked)
        answers = await self._store.restore(
            [instance for instance, _ in asked],
            replace=options.replace,
            validate_only=options.validate_only,
        )
        for (instance, was_running), answer in zip(asked, answers, strict=True):
            if answer is Restored.TAKEN:
                tally.failed_instances.append((instance.id, InstanceDiffers(instance.id)))
                continue
            tally.instances[answer] += 1
            if answer not in _DONE:
                continue
            tally.recovered += was_running
            if instance.state is State.PENDING and not options.validate_only:
                self._intake.offer(
                    instance.task,
                    instance.id,
                    instance.execution_time,
                    priority=instance.priority,
                )

    async def _import_schedule(self, schedule: Schedule, options: ImportOptions) -> Restored:
        """Store one schedule.

        Raises:
            InvalidRequest: its rules are wrong.
            ScheduleDiffers, StoreUnavailable.
        """
        recurrence_of(schedule.spec)
        if options.pause_schedules and not schedule.is_paused:
            schedule = replace(schedule, is_paused=True, pause_note=PAUSE_NOTE)
        for _ in range(_ROUNDS):
            stored = next(iter(await self._store.get_schedules([schedule.id])), None)
            verdict = judge_schedule(stored, schedule, may_replace=options.replace)
            if verdict is Restored.TAKEN:
                raise ScheduleDiffers(schedule.id)
            if options.validate_only or verdict is Restored.EXISTING:
                return verdict
            if stored is None:
                if await self._store.insert_schedule(schedule) == schedule:
                    return verdict
            elif await self._store.change_schedule(stored, _in_place_of(stored, schedule)):
                return verdict
        raise StoreUnavailable("what is stored changed again and again")


async def _parts(
    snapshot: Snapshot, place: ExportPlace, *, only_instances: bool
) -> AsyncGenerator[ExportPart, None]:
    if not place.are_instances_through:
        async for page in snapshot.pages():
            last = page[-1]
            _check_whole(snapshot)
            place = replace(place, instance=PageKey(last.execution_time, last.id))
            yield ExportPart(place=place, time=snapshot.time, instances=page)
        _check_whole(snapshot)
        place = replace(place, are_instances_through=True)
    if only_instances:
        return
    async for some in snapshot.schedules(after=place.schedule):
        _check_whole(snapshot)
        place = replace(place, schedule=some[-1].id)
        yield ExportPart(place=place, time=snapshot.time, schedules=some)
    _check_whole(snapshot)


def _check_whole(snapshot: Snapshot) -> None:
    """A backup that lacks what could not be decrypted must not end as if it were whole."""
    if snapshot.locked:
        raise snapshot.locked[0]


def _without_namesakes(instances: Sequence[Instance]) -> list[list[Instance]]:
    """The instances in lists in which no id comes twice; commonly one list."""
    lists: list[dict[str, Instance]] = []
    for instance in instances:
        for some in lists:
            if instance.id not in some:
                some[instance.id] = instance
                break
        else:
            lists.append({instance.id: instance})
    return [list(some.values()) for some in lists]


def _in_place_of(stored: Schedule, wanted: Schedule) -> Schedule:
    return replace(wanted, revision=max(stored.revision, wanted.revision) + 1)
