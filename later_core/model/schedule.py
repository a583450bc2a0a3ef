"""A schedule: rules that create instances, and what to do when that does not go smoothly."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from later_core.model.instance import NewInstance
from later_core.model.instant import to_millis
from later_core.model.recurrence.rules import Exclusion, Rule


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
    """How far a schedule is planned; moved on by planners alone, with a compare-and-set.

    Every nominal time up to and including ``planned_until`` has its instance or was passed over. Before
    ``next_time`` there is nothing more to plan (None: nothing ever). ``runs`` counts the instances
    planned by the rules, ``missed`` the times that catching up passed over.
    """

    planned_until: datetime
    next_time: datetime | None
    runs: int = 0
    missed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """A stored schedule, as it was at one revision. All instants are UTC.

    ``revision`` is one more at each change that a person (or a pause on failure) makes; planning leaves
    it alone, so that an etag is not stale a minute after it was read.
    """

    id: str
    spec: ScheduleSpec
    progress: Progress
    create_time: datetime
    update_time: datetime
    revision: int = 1
    is_paused: bool = False
    pause_note: str = ""

    @property
    def etag(self) -> str:
        """Changes with each revision, and is never that of an earlier schedule of the same id."""
        return f"{to_millis(self.create_time):x}-{self.revision:x}"
