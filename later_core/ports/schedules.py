"""What Later needs from a database for schedules: a part of ``Store``, under the same three rules.

A schedule moves by compare-and-set: a change takes effect only while the stored schedule stands where
it was read (the same ``create_time``, ``revision`` and ``progress.step``), and leads to another
revision or step. So of several that decide at once, one is heard, and the others read again.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from later_core.model.schedule import Progress, Schedule, ScheduleFilter
from later_core.model.state import State

#: So many unended instances of one schedule are named; whoever asks for more is not helped by them.
ACTIVE_MAX = 1_000


@dataclass(frozen=True, slots=True)
class ScheduleStep:
    """One step of planning: from the schedule as it was read to its next progress."""

    before: Schedule
    after: Progress


@dataclass(frozen=True, slots=True)
class LookKey:
    """A place in the order of (look_time, id): just behind this one."""

    look_time: datetime
    id: str


@dataclass(frozen=True, slots=True)
class FailedRun:
    """An instance of a schedule that FAILED."""

    id: str
    finish_time: datetime


class ScheduleStore(ABC):
    """Schedules, and what planners ask of their instances."""

    @abstractmethod
    async def insert_schedule(self, schedule: Schedule) -> Schedule:
        """Store a new schedule, or answer the one that is stored under this id already."""

    @abstractmethod
    async def get_schedules(self, ids: Collection[str]) -> Sequence[Schedule]:
        """Those of these ids that there are, in order of id; durable changes only."""

    @abstractmethod
    async def list_schedules(
        self, filter: ScheduleFilter, *, after: str | None, limit: int
    ) -> tuple[Sequence[Schedule], str | None]:
        """A page of at most ``limit`` schedules with ids behind ``after``, in order of id, and the id
        behind which the next page begins (None: there is none).

        A page may close early, as that of ``Store.list``. A record that cannot be read is logged and
        left out, and never hides those behind it.
        """

    @abstractmethod
    async def change_schedule(self, before: Schedule, after: Schedule) -> bool:
        """Replace a schedule as a whole, if it stands where it was read; False if it does not.

        A repeated call answers False, for the first has led on.
        """

    @abstractmethod
    async def delete_schedule(self, before: Schedule) -> bool:
        """Remove a schedule if it stands where it was read; False if it does not, or is gone."""

    # -- planning ----------------------------------------------------------------------------

    @abstractmethod
    async def schedules_due(
        self,
        *,
        until: datetime,
        buckets: Collection[int] | None,
        after: LookKey | None,
        limit: int,
    ) -> Sequence[Schedule]:
        """Schedules with ``look_time <= until``, of these buckets if any are named
        (``model.bucket``), behind ``after``, in order of (look_time, id).

        At most ``limit`` of them. An empty answer means there are no more; a short one does not.
        Costs what it answers, however many schedules are not due.
        """

    @abstractmethod
    async def advance_schedules(self, steps: Sequence[ScheduleStep]) -> Sequence[bool]:
        """Store the progress of many; True for each one whose schedule stood where it was read.

        Each step is atomic by itself. No two of one call are of the same schedule.
        """

    @abstractmethod
    async def active_instances(self, schedules: Collection[str]) -> Mapping[str, Sequence[str]]:
        """The ids of the PENDING and RUNNING instances of each of these schedules, at most
        ``ACTIVE_MAX`` of one; schedules that have none are not named.
        """

    @abstractmethod
    async def last_failures(self, schedules: Collection[str]) -> Mapping[str, FailedRun]:
        """The instance of each of these schedules that FAILED last; those without are not named."""

    @abstractmethod
    async def schedule_counts(
        self, schedules: Collection[str]
    ) -> Mapping[str, Mapping[State, int]]:
        """The instances of each of these schedules per state (every state is a key), counted from the
        rows; every schedule asked for is named.
        """
