"""What people ask of schedules: create, read, change, pause, run now, make up for the past."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import islice
from typing import Self

import uuid_utils

from later_core.errors import (
    EtagMismatch,
    ScheduleAlreadyExists,
    ScheduleNotFound,
    StoreUnavailable,
    TaskNotFound,
)
from later_core.local.caller import caller
from later_core.local.database_clock import DatabaseClock
from later_core.local.doorbell import Doorbell
from later_core.model import planning
from later_core.model.instance import Instance
from later_core.model.instant import from_millis
from later_core.model.schedule import (
    Backfill,
    ListedSchedule,
    Schedule,
    ScheduleFilter,
    SchedulePage,
    ScheduleSpec,
)
from later_core.model.scope import Scope
from later_core.ports.store import Store
from later_core.ports.tasks import Tasks
from later_core.service import fingerprints
from later_core.service.authority import check_scope, check_start
from later_core.service.changes import Changes
from later_core.service.schedule_runs import ScheduleRuns

#: How many of the next times a schedule is shown with.
_NEXT_TIMES = 5
#: How often a change is tried again that planners or others were quicker than.
_ROUNDS = 20

Change = Callable[[Schedule, datetime], Schedule]


class Schedules:
    """One object for all requests. A change is told to the planner of this node at once."""

    def __init__(
        self,
        *,
        store: Store,
        tasks: Tasks,
        runs: ScheduleRuns,
        doorbell: Doorbell,
        database_clock: DatabaseClock,
    ) -> None:
        self._store = store
        self._tasks = tasks
        self._runs = runs
        self._doorbell = doorbell
        self._database_clock = database_clock
        self._changes = Changes()

    async def __aenter__(self) -> Self:
        await self._changes.__aenter__()
        return self

    async def __aexit__(self, *failure: object) -> None:
        await self._changes.__aexit__(*failure)

    # -- schedules ---------------------------------------------------------------------------

    async def create(
        self, spec: ScheduleSpec, *, id: str | None, is_paused: bool = False, pause_note: str = ""
    ) -> Schedule:
        """Store a schedule, or answer the one stored by an earlier equal request.

        Raises:
            TaskNotFound, InvalidRequest, PermissionDenied, ScheduleAlreadyExists, StoreUnavailable.
        """
        self._check(spec)
        now = self._now()
        asked = Schedule(
            id=id or uuid_utils.uuid7().hex,
            spec=spec,
            progress=planning.progress_from(spec, now),
            create_time=now,
            update_time=now,
            is_paused=is_paused,
            pause_note=pause_note,
            fingerprint=fingerprints.of_schedule(spec, is_paused=is_paused),
            principal=caller().name,
        )
        stored = await self._store.insert_schedule(asked)
        if stored.fingerprint != asked.fingerprint:
            raise ScheduleAlreadyExists(asked.id)
        self._doorbell.ring(stored.id)
        return stored

    async def get(self, id: str) -> ListedSchedule:
        """The schedule as it is now.

        Raises:
            ScheduleNotFound, StoreUnavailable.
        """
        return (await self._listed([await self._existing(id)]))[0]

    async def list(self, filter: ScheduleFilter, *, after: str | None, limit: int) -> SchedulePage:
        """A page in order of id."""
        filter = replace(filter, scope=caller().scope)
        schedules, next = await self._store.list_schedules(filter, after=after, limit=limit)
        return SchedulePage(await self._listed(schedules), next)

    async def update(self, id: str, spec: ScheduleSpec, *, etag: str | None) -> Schedule:
        """Replace what is asked of a schedule; with an etag, only if it still has that one.

        What was planned stays as it is, and what the old rules missed is not made up for.

        Raises:
            TaskNotFound, InvalidRequest, ScheduleNotFound, EtagMismatch, StoreUnavailable.
        """
        self._check(spec)

        def updated(before: Schedule, now: datetime) -> Schedule:
            return replace(_planned_anew(replace(before, spec=spec), now), update_time=now)

        return await self._changes.carry(self._change(id, updated, etag=etag))

    async def pause(self, id: str, *, note: str) -> Schedule:
        """Let nothing more start by the rules; what waits for an earlier run does not take place.

        Raises:
            ScheduleNotFound, StoreUnavailable.
        """

        def paused(before: Schedule, now: datetime) -> Schedule:
            if before.is_paused and before.pause_note == note:
                return before
            return replace(
                before,
                is_paused=True,
                pause_note=note,
                update_time=now,
                progress=planning.let_go_waiting(before.progress),
            )

        return await self._changes.carry(self._change(id, paused))

    async def resume(self, id: str, *, note: str) -> Schedule:
        """Go on from now; what was paused over is not made up for, and earlier failures are forgiven.

        Raises:
            ScheduleNotFound, StoreUnavailable.
        """

        def resumed(before: Schedule, now: datetime) -> Schedule:
            if not before.is_paused:
                return before
            installed = self._tasks.get(before.spec.template.task)
            if installed is not None:
                check_start(caller(), installed.task)
            after = _planned_anew(before, now)
            return replace(
                after,
                is_paused=False,
                pause_note=note,
                update_time=now,
                progress=replace(after.progress, watched_from=now),
            )

        return await self._changes.carry(self._change(id, resumed))

    async def delete(self, id: str, *, etag: str | None) -> Schedule:
        """Remove a schedule. Its PENDING instances are aborted, those that run go on.

        Raises:
            ScheduleNotFound, EtagMismatch, StoreUnavailable: it may be paused by now, with some of
                its instances aborted; deleting it again does the rest.
        """
        return await self._changes.carry(self._delete(id, etag))

    async def _delete(self, id: str, etag: str | None) -> Schedule:
        def held(before: Schedule, now: datetime) -> Schedule:
            note = "is being deleted"
            return replace(before, is_paused=True, pause_note=note, update_time=now)

        # Nothing may be planned between the aborts and the end.
        last = await self._change(id, held, etag=etag)
        await self._runs.abort_pending(id)
        while not await self._store.delete_schedule(last):
            last = await self._change(id, held)
        # What a planner had decided just before may have been stored meanwhile.
        await self._runs.abort_pending(id)
        return last

    # -- instances ---------------------------------------------------------------------------

    async def trigger(self, id: str, *, request_id: str | None) -> Instance:
        """Run a schedule's task now, whatever its rules, also while it is paused.

        The same ``request_id`` again answers the same instance.

        Raises:
            ScheduleNotFound, TaskNotFound, InvalidRequest, InstanceAlreadyExists, StoreUnavailable.
        """
        schedule = await self._existing(id)
        self._check_task(schedule.spec)
        return await self._changes.carry(self._runs.trigger(schedule, request_id))

    async def backfill(self, id: str, *, start: datetime, end: datetime, limit: int) -> Backfill:
        """Create the instances of the nominal times of ``start <= t < end``, all in the past, as far
        as there are none yet: at most ``limit`` with one call. They are due at once.

        Raises:
            ScheduleNotFound, TaskNotFound, InvalidRequest, StoreUnavailable: some may be stored;
                repeating is safe.
        """
        schedule = await self._existing(id)
        self._check_task(schedule.spec)
        return await self._changes.carry(
            self._runs.backfill(schedule, start=start, end=end, limit=limit)
        )

    async def preview(self, id: str, *, after: datetime | None, count: int) -> Sequence[datetime]:
        """The next nominal times of a stored schedule after an instant (None: now), paused or not.

        Raises:
            ScheduleNotFound, StoreUnavailable.
        """
        schedule = await self._existing(id)
        times = planning.preview(schedule.spec, after or self._now(), schedule.progress.runs)
        return list(islice(times, count))

    def preview_spec(
        self, spec: ScheduleSpec, *, after: datetime | None, count: int
    ) -> Sequence[datetime]:
        """The same for what is not stored.

        Raises:
            InvalidRequest.
        """
        return list(islice(planning.preview(spec, after or self._now()), count))

    # -- how ---------------------------------------------------------------------------------

    async def _change(self, id: str, change: Change, *, etag: str | None = None) -> Schedule:
        """Change a schedule as it stands; what ``change`` answers as it was needs no change.

        Planners move it on meanwhile: then the change is thought over with what they made of it.
        """
        for _ in range(_ROUNDS):
            before = await self._existing(id)
            if etag is not None and before.etag != etag:
                raise EtagMismatch(id, etag, before.etag)
            after = change(before, self._now())
            if after is before:
                return before
            after = replace(after, revision=before.revision + 1)
            if await self._store.change_schedule(before, after):
                self._doorbell.ring(id)
                return after
        raise StoreUnavailable("the schedule changed each time it was looked at")

    async def _existing(self, id: str) -> Schedule:
        found = await self._store.get_schedules([id])
        if not found or not _is_within(caller().scope, found[0]):
            raise ScheduleNotFound(id)
        return found[0]

    async def _listed(self, schedules: Sequence[Schedule]) -> Sequence[ListedSchedule]:
        counts = await self._store.schedule_counts([schedule.id for schedule in schedules])
        now = self._now()
        return [
            ListedSchedule(
                schedule=schedule,
                counts=counts[schedule.id],
                next_times=() if schedule.is_paused else _next_times(schedule, now),
            )
            for schedule in schedules
        ]

    def _check(self, spec: ScheduleSpec) -> None:
        check_scope(caller(), spec.template.task, spec.template.labels)
        self._check_task(spec)
        planning.recurrence_of(spec)

    def _check_task(self, spec: ScheduleSpec) -> None:
        task = spec.template.task
        installed = self._tasks.get(task)
        if installed is None:
            raise TaskNotFound(task, self._tasks.nearest(task))
        check_start(caller(), installed.task)

    def _now(self) -> datetime:
        return from_millis(int(self._database_clock.now_ms()))


def _planned_anew(before: Schedule, now: datetime) -> Schedule:
    """The schedule as it goes on from now; what is planned ahead of that is not planned again."""
    after = max(now, before.progress.planned_until)
    return replace(before, progress=planning.progress_from(before.spec, after, before.progress))


def _is_within(scope: Scope, schedule: Schedule) -> bool:
    return scope.covers(schedule.spec.template.task, schedule.spec.template.labels)


def _next_times(schedule: Schedule, now: datetime) -> Sequence[datetime]:
    after = max(now, schedule.progress.planned_until)
    return tuple(
        islice(planning.preview(schedule.spec, after, schedule.progress.runs), _NEXT_TIMES)
    )
