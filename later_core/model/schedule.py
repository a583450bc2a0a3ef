"""A schedule: rules that create instances, and what to do when that does not go smoothly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from later_core.model.instance import NO_LABELS, NewInstance
from later_core.model.instant import EPOCH, to_millis
from later_core.model.recurrence.rules import Exclusion, Rule
from later_core.model.scope import EVERYTHING, Scope
from later_core.model.state import State


class Overlap(StrEnum):
    """What becomes of a run that is due while an earlier one of its schedule has not ended."""

    #: It does not take place.
    SKIP = "SKIP"
    #: It waits for the end of the earlier; while one waits, further ones do not take place.
    BUFFER_ONE = "BUFFER_ONE"
    #: It waits for its turn, however many wait already.
    BUFFER_ALL = "BUFFER_ALL"
    #: The earlier is aborted, and it takes place.
    ABORT_RUNNING = "ABORT_RUNNING"
    #: Both run.
    ALLOW = "ALLOW"


class CatchUp(StrEnum):
    """Which of the times that passed while nobody planned are made up for."""

    ALL = "ALL"
    LAST = "LAST"
    NONE = "NONE"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleSpec:
    """What people ask of a schedule; UpdateSchedule replaces it.

    ``template`` is what every instance will be; its ``id``, ``execution_time`` and ``delay`` are unset.
    It fires at the times of any of the ``rules`` that no exclusion takes out, from ``start_time`` on and
    before ``end_time``, ``max_runs`` times at most. ``time_zone`` is an IANA name and holds for rules
    that name none. Each instance is due up to ``jitter`` after its nominal time.

    What was missed is made up for as ``catch_up`` says, unless it is older than ``catchup_window``
    (None: however old). With ``pause_on_failure`` the schedule pauses itself when a run has FAILED for
    good.
    """

    template: NewInstance
    rules: tuple[Rule, ...]
    exclusions: tuple[Exclusion, ...] = ()
    time_zone: str = "UTC"
    start_time: datetime | None = None
    end_time: datetime | None = None
    max_runs: int | None = None
    jitter: timedelta = timedelta(0)
    overlap: Overlap = Overlap.SKIP
    catch_up: CatchUp = CatchUp.LAST
    catchup_window: timedelta | None = None
    pause_on_failure: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a schedule is planned; moved on with a compare-and-set on ``step``.

    What becomes of every nominal time up to and including ``planned_until`` is decided. Before
    ``next_time`` there is nothing more to plan (None: nothing ever). ``runs`` counts the times at
    which the rules made it run, or wait; ``missed`` those that catching up passed over; ``skipped``
    those at which it did not run since an earlier run had not ended.

    ``starting`` are nominal times that are decided to run and whose instances may not be stored yet:
    whoever finds them stores them, after it has aborted the instances of the ids ``aborting``.
    ``waiting`` are those that wait for the end of an earlier run, in
    order. FAILED instances that ended before ``watched_from`` (None: whenever) do not pause the
    schedule.
    """

    planned_until: datetime
    next_time: datetime | None
    runs: int = 0
    missed: int = 0
    skipped: int = 0
    starting: tuple[datetime, ...] = ()
    aborting: tuple[str, ...] = ()
    waiting: tuple[datetime, ...] = ()
    watched_from: datetime | None = None
    step: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """A stored schedule, as it was at one revision. All instants are UTC.

    ``revision`` is one more at each change that a person (or a pause on failure) makes; planning leaves
    it alone, so that an etag is not stale a minute after it was read. ``fingerprint`` is that of the
    content first asked for, and tells a repeated create from another one. ``principal``: who created it,
    and thus its instances.
    """

    id: str
    spec: ScheduleSpec
    progress: Progress
    create_time: datetime
    update_time: datetime
    revision: int = 1
    is_paused: bool = False
    pause_note: str = ""
    fingerprint: bytes = b""
    principal: str = ""

    @property
    def look_time(self) -> datetime | None:
        """When a planner must look at it next; None: not before somebody changes it.

        What is decided to run is stored at once, also by another planner. What waits for the end of
        an earlier run is looked at again and again.
        """
        if self.progress.starting or (self.progress.waiting and not self.is_paused):
            return EPOCH
        return None if self.is_paused else self.progress.next_time

    @property
    def etag(self) -> str:
        """Changes with each revision, and is never that of an earlier schedule of the same id."""
        return f"{to_millis(self.create_time):x}-{self.revision:x}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedSchedule:
    """A schedule as people see it: with ``counts``, its instances per state (every state is a key),
    and ``next_times``, its next nominal times, at most 5 and none while it is paused.
    """

    schedule: Schedule
    counts: Mapping[State, int]
    next_times: Sequence[datetime]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleFilter:
    """All conditions must hold; an empty one always does. ``labels`` are those of the template,
    ``scope`` is that of whoever asks."""

    tasks: frozenset[str] = frozenset()
    labels: Mapping[str, str] = field(default_factory=lambda: NO_LABELS)
    is_paused: bool | None = None
    scope: Scope = EVERYTHING

    def matches(self, schedule: Schedule) -> bool:
        """Whether the schedule, as it is, meets every condition."""
        template = schedule.spec.template
        return (
            (not self.tasks or template.task in self.tasks)
            and (self.is_paused is None or schedule.is_paused is self.is_paused)
            and all(template.labels.get(key) == value for key, value in self.labels.items())
            and self.scope.covers(template.task, template.labels)
        )


@dataclass(frozen=True, slots=True)
class SchedulePage:
    """Some schedules in order of id; ``next`` is the id that the next page is behind, None on the
    last one.
    """

    schedules: Sequence[ListedSchedule]
    next: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Backfill:
    """What one call made of a past range: new instances, and those that were there already.

    ``next_start``: the rest of the range begins there; None once all of it is done.
    """

    created: int
    existing: int
    next_start: datetime | None
