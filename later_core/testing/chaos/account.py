"""What the outside knows: what clients were told, what subscribers saw, what the tasks wrote."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from later_core.model.event import Event
from later_core.model.instance import Delivery, Instance
from later_core.model.instant import to_millis
from later_core.model.state import State
from later_core.testing.chaos.waiting import CLOCK


def now_ns() -> int:
    """This machine's wall clock, nanoseconds since the Unix epoch."""
    return int(CLOCK.now().timestamp() * 1e9)


@dataclass(frozen=True, slots=True)
class Noted:
    """One line of the ledger. ``at_ns``: nanoseconds since the Unix epoch, by this machine's clock;
    ``wrong_ns``: what the process's own wall clock showed too much.
    """

    what: str
    id: str
    attempt: int
    pid: int
    at_ns: int
    wrong_ns: int = 0


@dataclass(frozen=True, slots=True)
class Change:
    """An instance at one revision, as an answer or an event told it."""

    id: str
    revision: int
    state: State
    attempt: int
    due_ms: int
    node: str
    reason: str
    at_ms: int = 0
    start_ms: int | None = None

    @classmethod
    def of(cls, instance: Instance, at_ms: int = 0) -> Change:
        """``at_ms``: when the change was made, by the database's clock, if that is known.
        ``start_ms``: when the attempt's code began, as Later says.
        """
        return cls(
            instance.id,
            instance.revision,
            instance.state,
            instance.attempt,
            to_millis(instance.execution_time),
            instance.node or "",
            instance.error.reason if instance.error else "",
            at_ms,
            to_millis(instance.start_time) if instance.start_time else None,
        )


@dataclass(frozen=True, slots=True)
class AckedAbort:
    """The answer to an abort, and when it came."""

    after: Change
    previous: State
    at_ns: int


@dataclass(slots=True)
class Acknowledged:
    """What the clients were told has happened."""

    created: dict[str, Change] = field(default_factory=dict)
    at_most_once: set[str] = field(default_factory=set)
    aborts: dict[str, AckedAbort] = field(default_factory=dict)
    rescheduled: list[Change] = field(default_factory=list)
    retried: list[Change] = field(default_factory=list)
    #: Answers that no fault explains, in words.
    unexpected: list[str] = field(default_factory=list)
    #: Calls that were not answered (and, for creates, made again).
    unanswered: int = 0
    #: Instances whose abort, reschedule or retry was not answered: it may have happened.
    in_doubt: set[str] = field(default_factory=set)

    def create(self, instance: Instance) -> None:
        """A create was acknowledged."""
        self.created[instance.id] = Change.of(instance)
        if instance.delivery is Delivery.AT_MOST_ONCE:
            self.at_most_once.add(instance.id)


@dataclass(slots=True)
class Seen:
    """What one subscriber was told, in order; a RESYNC is a None."""

    name: str
    changes: list[Change | None] = field(default_factory=list)
    last: dict[str, int] = field(default_factory=dict)
    is_resynced: bool = False
    #: How often it came back with its token.
    resumed: int = 0

    def take(self, event: Event) -> None:
        """One more event."""
        if event.instance is None:
            self.changes.append(None)
            self.is_resynced = True
            return
        change = Change.of(event.instance, to_millis(event.event_time))
        self.changes.append(change)
        self.last[change.id] = change.revision


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Everything there is to compare. ``stored`` is read from the database, past Later."""

    acknowledged: Acknowledged
    stored: dict[str, Change]
    seen: Sequence[Seen]
    ledger: Sequence[Noted]
    #: Processes of nodes that were killed, and when (nanoseconds since the Unix epoch).
    killed: dict[int, int]
    lease_seconds: float
    #: When MongoDB was harmed, from and to (nanoseconds since the Unix epoch).
    database_troubles: Sequence[tuple[int, int]] = ()
    #: What was created and due between these was met by no fault (likewise).
    calm: tuple[int, int] = (0, 0)
    #: Servers that ended by themselves, or not in order, in words.
    ended: Sequence[str] = ()
    #: What the servers logged together with an exception that nobody caught, in words.
    exceptions: Sequence[str] = ()


def read_ledger(path: Path) -> list[Noted]:
    """Every whole line of the ledger."""
    lines = path.read_text(encoding="ascii").splitlines()
    return [_noted(*line.split(" ")) for line in lines]


def _noted(what: str, id: str, attempt: str, pid: str, at_ns: str, wrong_ns: str) -> Noted:
    return Noted(what, id, int(attempt), int(pid), int(at_ns), int(wrong_ns))
