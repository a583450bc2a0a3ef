"""What a planner decides of one schedule at one moment: what runs, waits, is passed over. Pure.

The times come from ``model.planning.plan``; what becomes of each depends on those before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, assert_never

from later_core.model.planning import OverlapAction, on_overlap, plan
from later_core.model.schedule import Overlap, Progress, Schedule, ScheduleSpec

#: Where nothing depends on the runs before, instances are stored so long before they are due: then
#: they start to the millisecond. Hardly longer, since whoever pauses a schedule meets them still.
AHEAD = timedelta(seconds=2)

#: About the most that one step starts, and that waits for one schedule: both stand on its record.
#: What is left over is decided later.
STARTING_MAX = 200
WAITING_MAX = 1_000

#: Times that are looked at in one go, and how often in one step: it must not hold up the others.
_TIMES = 100
_GOES = 20


def decides_at(schedule: Schedule) -> datetime | None:
    """From when on there is something to decide, None for never; what waits aside."""
    next_time = schedule.progress.next_time
    if schedule.is_paused or next_time is None:
        return None
    return next_time - AHEAD if _is_free(schedule.spec) else next_time


def asks_for_active(schedule: Schedule) -> bool:
    """Whether the decision depends on which instances of it have not ended."""
    return schedule.spec.overlap is not Overlap.ALLOW


def decide(schedule: Schedule, *, active: Sequence[str], now: datetime) -> Progress | None:
    """The next progress of a schedule that is starting nothing; None: there is nothing to decide.

    ``active`` are the ids of its instances that have not ended; ``now`` is the database's, in whole
    milliseconds.

    Raises:
        InvalidRequest: its rules are not understood (here; another version wrote them).
    """
    if schedule.is_paused:
        return None
    before = schedule.progress
    decision = _Decision(schedule, active)
    decision.take_from_waiting()
    decision.plan_until(now, now=now)
    while decision.has_room and (at := decides_at(decision.schedule)) is not None and at <= now:
        # Up to just that time and no further: a change of the schedule meanwhile begins behind it.
        decision.plan_until(decision.schedule.progress.next_time or now, now=now)
    after = decision.schedule.progress
    return None if after == before else replace(after, step=before.step + 1)


class _Decision:
    """A step of a schedule as it grows. ``schedule`` has the progress so far."""

    def __init__(self, schedule: Schedule, active: Sequence[str]) -> None:
        self.schedule = schedule
        self._active = active
        # A time that is skipped is no run: so the bound is kept here, and not by the plan.
        self._unbounded = replace(schedule.spec, max_runs=None)
        self._goes = _GOES

    @property
    def has_room(self) -> bool:
        """Whether this step may go on."""
        progress = self.schedule.progress
        return (
            self._goes > 0
            and len(progress.starting) < STARTING_MAX
            and len(progress.waiting) < WAITING_MAX
        )

    def take_from_waiting(self) -> None:
        """Start what has waited long enough."""
        waiting = self.schedule.progress.waiting
        if self.schedule.spec.overlap is Overlap.ALLOW:
            self._move(starting=waiting[:STARTING_MAX], waiting=waiting[STARTING_MAX:])
        elif not self._active:
            self._move(starting=waiting[:1], waiting=waiting[1:])

    def plan_until(self, until: datetime, *, now: datetime) -> None:
        """Decide of each time up to then, as far as there is room."""
        while self.has_room:
            before = self.schedule.progress
            if before.next_time is None or before.next_time > until:
                return
            self._goes -= 1
            step = plan(
                replace(self.schedule, spec=self._unbounded), now=now, until=until, limit=_TIMES
            )
            self._move(
                planned_until=step.progress.planned_until,
                next_time=step.progress.next_time,
                missed=step.progress.missed,
            )
            for time in step.times:
                if not self._has_ended():
                    self._take(time)
            if self._has_ended():
                self._move(next_time=None)

    def _has_ended(self) -> bool:
        max_runs = self.schedule.spec.max_runs
        return max_runs is not None and self.schedule.progress.runs >= max_runs

    def _take(self, time: datetime) -> None:
        """What becomes of a time."""
        progress = self.schedule.progress
        action = on_overlap(
            self.schedule.spec.overlap,
            running=len(self._active) + len(progress.starting),
            waiting=len(progress.waiting),
        )
        match action:
            case OverlapAction.START:
                self._move(starting=(*progress.starting, time), runs=progress.runs + 1)
            case OverlapAction.WAIT:
                self._move(waiting=(*progress.waiting, time), runs=progress.runs + 1)
            case OverlapAction.SKIP:
                self._move(skipped=progress.skipped + 1)
            case OverlapAction.ABORT_AND_START:
                # Those of this very step, and those that waited under another policy, are aborted
                # before they begin.
                passed_over = len(progress.starting) + len(progress.waiting)
                self._move(
                    starting=(time,),
                    waiting=(),
                    aborting=tuple(self._active),
                    runs=progress.runs - passed_over + 1,
                    skipped=progress.skipped + passed_over,
                )
            case _:
                assert_never(action)

    def _move(self, **changes: Any) -> None:
        self.schedule = replace(self.schedule, progress=replace(self.schedule.progress, **changes))


def _is_free(spec: ScheduleSpec) -> bool:
    """Whether no run depends on another."""
    return spec.overlap is Overlap.ALLOW and not spec.pause_on_failure
