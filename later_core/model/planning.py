"""From a schedule to its instances: which times, under which ids, due when. Pure decisions."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import assert_never

from later_core.model.instance import Instance, NewInstance
from later_core.model.instant import LATEST, from_millis, round_up, to_millis
from later_core.model.recurrence.combine import EXCLUDED_IN_A_ROW_MAX, Recurrence, recurrence
from later_core.model.schedule import CatchUp, Overlap, Progress, Schedule, ScheduleSpec

#: A time that is planned no later than this after it was due counts as planned in time: catching up is
#: about outages, not about a planner that was busy.
IN_TIME = timedelta(minutes=1)

_MILLISECOND = timedelta(milliseconds=1)
_HASH_BYTES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a planner is to do: create an instance for each of ``times``, then store ``progress``.

    Without ``is_complete`` there is more to plan up to the same time; ask again with the progress.
    """

    times: Sequence[datetime]
    progress: Progress
    is_complete: bool


class OverlapAction(StrEnum):
    """What to do with a run that is due."""

    START = "START"
    WAIT = "WAIT"
    SKIP = "SKIP"
    #: Abort those that run, then start.
    ABORT_AND_START = "ABORT_AND_START"


def instance_id(schedule_id: str, nominal: datetime) -> str:
    """The id of the schedule's instance at a nominal time, such as ``backup@20260329T010000Z``.

    Whoever plans this time gives it this id, so that it cannot be created twice. It never changes,
    since it stands in the database; different times and schedules have different ids.
    """
    millis = nominal.microsecond // 1000
    fraction = f".{millis:03}" if millis else ""
    return f"{schedule_id}@{nominal:%Y%m%dT%H%M%S}{fraction}Z"


def execution_time(schedule_id: str, nominal: datetime, jitter: timedelta) -> datetime:
    """The nominal time plus a part of the jitter, the same each time it is asked.

    It lies in ``nominal <= t <= nominal + jitter``, in whole milliseconds, and is spread evenly over
    schedules and times.
    """
    key = f"{schedule_id}\n{to_millis(nominal)}".encode()
    share = int.from_bytes(hashlib.blake2b(key, digest_size=_HASH_BYTES).digest())
    return nominal + (share * (jitter // _MILLISECOND + 1) >> (8 * _HASH_BYTES)) * _MILLISECOND


def new_instance(schedule_id: str, spec: ScheduleSpec, nominal: datetime) -> NewInstance:
    """The instance to create for a nominal time."""
    return replace(
        spec.template,
        id=instance_id(schedule_id, nominal),
        execution_time=execution_time(schedule_id, nominal, spec.jitter),
        delay=None,
    )


def placed(
    schedule_id: str, request: NewInstance, *, now: datetime, principal: str = ""
) -> Instance:
    """The PENDING instance of a schedule that a request (with an id and a time) asks for.

    Its fingerprint is that of the schedule alone: an id of a schedule is created once, whatever the
    schedule has been changed to meanwhile. ``now`` is the database's, ``principal`` who asked for it.
    """
    if request.id is None or request.execution_time is None:
        raise ValueError("an instance of a schedule has an id and a time")
    return Instance(
        id=request.id,
        task=request.task,
        parameters=request.parameters,
        execution_time=round_up(request.execution_time),
        create_time=now,
        retry=request.retry,
        timeout=request.timeout,
        start_deadline=request.start_deadline,
        delivery=request.delivery,
        labels=request.labels,
        concurrency=request.concurrency,
        priority=request.priority,
        schedule_id=schedule_id,
        trace_parent=request.trace_parent,
        principal=principal,
        fingerprint=hashlib.blake2b(f"schedule {schedule_id}".encode(), digest_size=16).digest(),
    )


def recurrence_of(spec: ScheduleSpec) -> Recurrence:
    """When a schedule fires, ``max_runs`` aside.

    Raises:
        InvalidRequest: with every field that is wrong and its remedy.

    """
    return recurrence(spec.rules, spec.exclusions, spec.time_zone, spec.start_time, spec.end_time)


def progress_from(spec: ScheduleSpec, now: datetime, before: Progress | None = None) -> Progress:
    """The progress of a schedule that is planned anew after ``now``: created, changed, or resumed.

    What lies before is not made up for. All else goes on from ``before``; a new schedule has nothing
    to do with instances of an earlier one of its id.
    """
    before = before or Progress(planned_until=now, next_time=None, watched_from=now)
    return replace(
        before,
        planned_until=now,
        next_time=_next_look(spec, before.runs, now),
        step=before.step + 1,
    )


def let_go_waiting(progress: Progress) -> Progress:
    """The progress when what waits does not take place any more."""
    waiting = len(progress.waiting)
    return replace(
        progress, waiting=(), runs=progress.runs - waiting, skipped=progress.skipped + waiting
    )


def preview(spec: ScheduleSpec, after: datetime, runs: int = 0) -> Iterator[datetime]:
    """The nominal times after an instant, until the schedule ends; ``runs`` are behind it already.

    It ends too where next_after finds no more.
    """
    left = itertools.count() if spec.max_runs is None else range(spec.max_runs - runs)
    times = recurrence_of(spec)
    for _ in left:
        found = times.next_after(after)
        if found is None:
            return
        yield found
        after = found


def plan(schedule: Schedule, *, now: datetime, until: datetime, limit: int) -> Plan:
    """The next step of a schedule: the nominal times up to and including ``until``.

    At most ``limit`` times are planned in one step, however long nobody planned. ``now``, which is not
    after ``until``, decides what is late; from step to step it may move on, never back.
    """
    spec, progress = schedule.spec, schedule.progress
    if until <= progress.planned_until:
        return Plan(times=(), progress=progress, is_complete=True)
    times, behind = _look(spec, progress.planned_until, until, limit)
    chosen = _made_up_for(spec, times, now, is_last=behind is None or behind > now)
    if spec.max_runs is not None and len(chosen) >= spec.max_runs - progress.runs:
        chosen = chosen[: max(0, spec.max_runs - progress.runs)]
        # What comes after the last run is not missed: the schedule has ended.
        times = times[: times.index(chosen[-1]) + 1] if chosen else []
        behind = None
    runs = progress.runs + len(chosen)
    planned_until = until if behind is None else behind - _MILLISECOND
    moved = replace(
        progress,
        planned_until=planned_until,
        next_time=behind or _next_look(spec, runs, planned_until),
        runs=runs,
        missed=progress.missed + len(times) - len(chosen),
    )
    return Plan(times=tuple(chosen), progress=moved, is_complete=behind is None)


def on_overlap(policy: Overlap, *, running: int, waiting: int) -> OverlapAction:
    """What becomes of a run that is due, given how many of its schedule run and wait already."""
    if running + waiting == 0:
        return OverlapAction.START
    match policy:
        case Overlap.ALLOW:
            return OverlapAction.START
        case Overlap.ABORT_RUNNING:
            return OverlapAction.ABORT_AND_START
        case Overlap.BUFFER_ALL:
            return OverlapAction.WAIT
        case Overlap.BUFFER_ONE:
            return OverlapAction.SKIP if waiting else OverlapAction.WAIT
        case Overlap.SKIP:
            return OverlapAction.SKIP
        case _:
            assert_never(policy)


def _made_up_for(
    spec: ScheduleSpec, times: Sequence[datetime], now: datetime, *, is_last: bool
) -> list[datetime]:
    """Those of the times that are to run; ``is_last`` if no later one has passed already."""
    missed = [time for time in times if time < now - IN_TIME]
    in_time = list(times[len(missed) :])
    match spec.catch_up:
        case CatchUp.NONE:
            missed = []
        case CatchUp.LAST:
            # A run in time does what the missed ones would have done.
            has_followed = not is_last or any(time <= now for time in in_time)
            missed = [] if has_followed else missed[-1:]
        case CatchUp.ALL:
            pass
        case _:
            assert_never(spec.catch_up)
    if spec.catchup_window is not None:
        missed = [time for time in missed if time >= now - spec.catchup_window]
    return missed + in_time


def _look(
    spec: ScheduleSpec, after: datetime, until: datetime, limit: int
) -> tuple[list[datetime], datetime | None]:
    """The next times up to ``until``, and the time at which the look was ended early, if it was."""
    times: list[datetime] = []
    start = from_millis(to_millis(after) + 1)
    candidates = recurrence_of(spec).candidates(start, until + _MILLISECOND)
    for looked_at, (time, fires) in enumerate(candidates):
        if looked_at == EXCLUDED_IN_A_ROW_MAX or (fires and len(times) == limit):
            return times, time
        if fires:
            times.append(time)
    return times, None


def _next_look(spec: ScheduleSpec, runs: int, after: datetime) -> datetime | None:
    if spec.max_runs is not None and runs >= spec.max_runs:
        return None
    candidates = recurrence_of(spec).candidates(from_millis(to_millis(after) + 1), LATEST)
    for looked_at, (time, fires) in enumerate(candidates):
        # Behind so many excluded ones it is known only that nothing lies before.
        if fires or looked_at == EXCLUDED_IN_A_ROW_MAX:
            return time
    return None
