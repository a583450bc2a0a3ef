"""What really happened, as nobody inside the system can see it: the ground that the checks stand on."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from later_core.model.concurrency import Concurrency
from later_core.model.event import EventType
from later_core.model.instance import Instance
from later_core.model.schedule import ScheduleSpec
from later_core.model.state import State
from later_core.testing.clock import FakeClock
from later_core.testing.simulation.history import History
from later_core.testing.simulation.machine import Machine


class End(StrEnum):
    """How the code of an attempt came to its end."""

    RETURNED = "returned"
    RAISED = "raised"
    STOPPED = "stopped"


@dataclass(slots=True)
class Attempt:
    """One attempt whose code has begun."""

    node: str
    machine: Machine
    began_at: datetime
    concurrency: Concurrency | None = None
    end: End | None = None
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """One write to the store: the n-th, at a moment of the store's clock."""

    number: int
    at: datetime
    type: EventType
    before: Instance | None
    after: Instance


class Ledger:
    """Everything observed: writes, leases, code that began and ended, what clients asked for."""

    def __init__(self, clock: FakeClock, history: History) -> None:
        self.clock = clock
        self.history = history
        self.changes: list[Change] = []
        self.rows: dict[str, Instance] = {}
        self.by_id: defaultdict[str, list[Change]] = defaultdict(list)
        self.attempts: dict[tuple[str, int], Attempt] = {}
        self.began_in: defaultdict[str, list[int]] = defaultdict(list)
        #: Until when each node lives by the store's clock; a node that has left is not in it.
        self.leases: dict[str, datetime] = {}
        #: How often clients have asked for what only clients may ask for: (what, id).
        self.asked: Counter[tuple[str, str]] = Counter()
        #: The schedules that clients have asked for, by id.
        self.schedules: dict[str, ScheduleSpec] = {}
        #: When an instance that carries a key last left off running, or its code ended, by key.
        self.freed_at: dict[str, datetime] = {}
        #: The machines that have answered a client's abort, by instance; a retry begins it anew.
        self.abort_answered: defaultdict[str, set[str]] = defaultdict(set)
        #: Whether the store has ever forgotten its history.
        self.has_forgotten = False
        self.violations: list[str] = []

    def now(self) -> datetime:
        """The true time, which is the store's."""
        return self.clock.now()

    def violated(self, promise: str, *details: object) -> None:
        """A promise is broken: said in the history, and the seed has failed."""
        if self.history.is_over:
            return  # what is torn down at the end keeps no promises
        text = " ".join([promise, *map(str, details)])
        self.violations.append(text)
        self.history.add("CHECK", "VIOLATED:", text)

    def wrote(self, type: EventType, before: Instance | None, after: Instance) -> Change:
        """The store has made a change; answers it as the ledger keeps it."""
        change = Change(len(self.changes) + 1, self.now(), type, before, after)
        self.changes.append(change)
        self.by_id[after.id].append(change)
        self.rows[after.id] = after
        if before is not None and before.state is State.RUNNING and before.concurrency:
            self.freed_at[before.concurrency.key] = self.now()
        self.history.add("store", "wrote", _Row(after))
        return change

    def renewed(self, node: str, lease: timedelta) -> None:
        """The store has renewed a lease."""
        self.leases[node] = self.now() + lease

    def lives(self, node: str) -> bool:
        """Whether nobody may take over from this node, by the store's clock."""
        until = self.leases.get(node)
        return until is not None and until > self.now()

    def running_with(self, key: str) -> Iterable[tuple[str, Attempt]]:
        """The attempts of a key whose code runs, with the ids of their instances."""
        for (id, _), attempt in self.attempts.items():
            if attempt.end is None and attempt.concurrency and attempt.concurrency.key == key:
                yield id, attempt

    def began(self, instance: Instance, machine: Machine) -> Attempt:
        """The code of an attempt begins at this moment."""
        attempt = Attempt(instance.node or "", machine, self.now(), instance.concurrency)
        self.history.add(machine.name, "began", f"{instance.id}/{instance.attempt}")
        self.began_in[instance.id].append(instance.attempt)
        self.attempts[instance.id, instance.attempt] = attempt
        return attempt

    def ended(self, instance: Instance, end: End) -> None:
        """The code of an attempt ends at this moment."""
        attempt = self.attempts[instance.id, instance.attempt]
        attempt.end, attempt.ended_at = end, self.now()
        if attempt.concurrency is not None:
            self.freed_at[attempt.concurrency.key] = self.now()
        self.history.add(attempt.machine.name, end.value, f"{instance.id}/{instance.attempt}")


class _Row:
    """An instance as the history shows it."""

    __slots__ = ("_instance",)

    def __init__(self, instance: Instance) -> None:
        self._instance = instance

    def __str__(self) -> str:
        i = self._instance
        text = f"{i.id} r{i.revision} {i.state} a{i.attempt}"
        if i.state is State.PENDING:
            text += f" due {i.execution_time:%M:%S.%f}"[:-3]
        if i.node:
            text += f" node {i.node}"
        return f"{text} ({i.error.reason})" if i.error else text
