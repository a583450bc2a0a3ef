"""What a seed stands for: the nodes, their settings, and each step with its moment."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from later_core.model.instance import NewInstance
from later_core.model.schedule import ScheduleSpec
from later_core.testing.simulation.line import Weather


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """A node starts on a host, with these tasks; nothing happens if one runs there already."""

    host: int
    tasks: tuple[str, ...]
    skew: timedelta
    offset: float


@dataclass(frozen=True, slots=True)
class Crash:
    """The node of a host dies in the midst of what it does."""

    host: int


@dataclass(frozen=True, slots=True)
class Leave:
    """The node of a host is told to stop, with so many seconds of grace."""

    host: int
    grace: float


@dataclass(frozen=True, slots=True)
class Freeze:
    """The node of a host stands still."""

    host: int


@dataclass(frozen=True, slots=True)
class Thaw:
    """The node of a host goes on."""

    host: int


@dataclass(frozen=True, slots=True)
class Turn:
    """The line between a host and the store gets another weather."""

    host: int
    weather: Weather


@dataclass(frozen=True, slots=True)
class SetWallClock:
    """The wall clock of a host is set: from now on it is wrong by so much."""

    host: int
    skew: timedelta


@dataclass(frozen=True, slots=True)
class ForgetHistory:
    """The store forgets every change so far, as one whose log is too short."""


@dataclass(frozen=True, slots=True)
class Create:
    """A client creates one or many instances; it asks so often until it is answered."""

    host: int
    requests: tuple[NewInstance, ...]
    tries: int


@dataclass(frozen=True, slots=True)
class Abort:
    """A client aborts an instance."""

    host: int
    id: str


@dataclass(frozen=True, slots=True)
class Reschedule:
    """A client moves an instance to so many seconds from now."""

    host: int
    id: str
    delay: float


@dataclass(frozen=True, slots=True)
class Retry:
    """A client has an ended instance run again in so many seconds."""

    host: int
    id: str
    delay: float


@dataclass(frozen=True, slots=True)
class CreateSchedule:
    """A client creates a schedule; it asks so often until it is answered."""

    host: int
    id: str
    spec: ScheduleSpec
    tries: int


@dataclass(frozen=True, slots=True)
class Watch:
    """A client begins to watch; ``task``: only instances of this one."""

    name: str
    host: int
    task: str | None
    include_existing: bool


@dataclass(frozen=True, slots=True)
class Reconnect:
    """A watching client loses its connection and comes back with its token."""

    name: str
    host: int


Fault = Start | Crash | Leave | Freeze | Thaw | Turn | SetWallClock | ForgetHistory
Request = Create | CreateSchedule | Abort | Reschedule | Retry | Watch | Reconnect
Step = Fault | Request


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """Steps in order of time, each so many seconds after the beginning, and the settings of all nodes.

    ``delay`` is what each way between a node and the store takes at most on a fair line.
    """

    seed: int
    steps: tuple[tuple[float, Step], ...]
    lease: float
    recurrence: float
    time_ahead: float
    claim_lead: float
    max_running: int
    catch_up_rate: int
    delay: float

    @property
    def calm_until(self) -> float:
        """When the first fault comes; nodes that start at the very beginning are none."""
        faults = (at for at, step in self.steps if at > 0 and isinstance(step, Fault))
        return min(faults, default=float("inf"))

    @property
    def length(self) -> float:
        """When the last step comes."""
        return self.steps[-1][0] if self.steps else 0.0
