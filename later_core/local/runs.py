"""The runs of this node: every attempt it has claimed and not yet ended."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum, auto

from later_core.model.concurrency import Slot
from later_core.model.instance import Instance
from later_core.model.instant import to_millis
from later_core.model.rate import Permit
from later_core.model.state import State
from later_core.plugin.context import Context
from later_core.ports.observer import Observer
from later_core.ports.store import Aborted

#: Runs that are remembered when they are over: seconds of them at the least.
_OVER_REMEMBERED = 10_000

#: Aborts that are recognized when the feed tells of them again: seconds of it at the least.
_TOLD_REMEMBERED = 10_000


class Stop(Enum):
    """Why a run is stopped before its code has returned."""

    ABORTED = auto()
    TIMED_OUT = auto()
    SHUTDOWN = auto()
    FENCED = auto()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Place:
    """The right to run one more instance of a task on this node.

    A probe is the one that is let through while the breaker of its task is open.
    """

    task: str
    is_probe: bool = False


class Run:
    """One claimed attempt, from the claim to its durable end."""

    __slots__ = (
        "context",
        "due_ms",
        "instance",
        "is_code_running",
        "is_interruptible",
        "let_go",
        "permit",
        "place",
        "ready_ms",
        "slot",
        "stop_reason",
        "task",
        "timeout",
    )

    def __init__(self, instance: Instance) -> None:
        self.instance = instance
        #: When its code may begin: its execution time, or its permit's; milliseconds since the Unix epoch.
        self.due_ms = to_millis(instance.execution_time)
        #: Since when it could begin: its execution time, or when it was admitted.
        self.ready_ms: float = self.due_ms
        #: What its concurrency key asks for; held until its code has surely ended.
        self.slot: Slot | None = None
        #: What the rate limit of its task asks for; used as its code begins.
        self.permit: Permit | None = None
        #: What its task's limit on this node asks for; held until its code has surely ended.
        self.place: Place | None = None
        #: How long its code may take: as its instance asks, and no longer than its task may.
        self.timeout: timedelta | None = None
        #: Whether the code of one that has a slot or a place runs, be it in a thread that was given up.
        self.is_code_running = False
        self.context: Context | None = None
        #: The asyncio task that carries the run, None until it has begun.
        self.task: asyncio.Task[None] | None = None
        #: Begins the run although it is not due, so that it can end; None unless it is held.
        self.let_go: Callable[[], None] | None = None
        #: True while its code runs; never while its end is written.
        self.is_interruptible = False
        self.stop_reason: Stop | None = None

    @property
    def key(self) -> tuple[str, int]:
        """What fences this attempt from every other: (id, attempt)."""
        instance = self.instance
        return instance.id, instance.attempt

    def is_stopped(self) -> bool:
        """Whether the run is to be given up, or has been."""
        return self.stop_reason is not None

    @property
    def has_own_timeout(self) -> bool:
        """Whether it has no more time than its instance asks for; else its task's time limit is shorter."""
        return self.timeout == self.instance.timeout

    @property
    def says_something_of_its_task(self) -> bool:
        """Whether its outcome came from the code, or from exceeding what any attempt of the task may take."""
        if self.stop_reason is Stop.TIMED_OUT:
            return not self.has_own_timeout
        return self.stop_reason is None

    def stop(self, reason: Stop) -> None:
        """Stop the run; the first reason stands, a repeated call does nothing."""
        if self.stop_reason is not None:
            return
        self.stop_reason = reason
        if self.context is not None:
            self.context.cancel()
        if self.let_go is not None:
            self.let_go()
        elif self.is_interruptible and self.task is not None:
            self.task.cancel()


class Runs:
    """Where the services that abort meet the engine that runs; bounded by ``capacity``."""

    def __init__(self, *, capacity: int, observer: Observer | None = None) -> None:
        self.capacity = capacity
        self._observer = observer
        self._runs: dict[str, Run] = {}
        self._claiming = 0
        self._kept = 0
        #: Aborted between this node's claim and its run, by (id, attempt).
        self._aborted_early: dict[tuple[str, int], Instance] = {}
        self._aborted: deque[Instance] = deque()
        self._over: OrderedDict[tuple[str, int], None] = OrderedDict()
        self._told: OrderedDict[tuple[str, int], None] = OrderedDict()
        #: Set when there is room for another run.
        self.has_room = asyncio.Event()
        self.has_room.set()
        #: Set when ``take_aborted`` has something to answer.
        self.has_aborted = asyncio.Event()
        #: Set while no claim is under way.
        self.no_claims = asyncio.Event()
        self.no_claims.set()

    def __len__(self) -> int:
        return len(self._runs)

    def __iter__(self) -> Iterator[Run]:
        return iter(tuple(self._runs.values()))

    @property
    def room(self) -> int:
        """How many more runs may be claimed now."""
        return max(0, self.capacity - len(self._runs) - self._claiming - self._kept)

    def get(self, id: str) -> Run | None:
        """The run of this instance on this node."""
        return self._runs.get(id)

    def reserve(self, count: int) -> None:
        """Keep room for a claim of so many, from before it is sent; ``release`` follows for sure."""
        self._claiming += count
        self.no_claims.clear()
        self._note_room()

    def release(self, count: int) -> None:
        """The claim is answered, and what it won has been added."""
        self._claiming -= count
        if not self._claiming:
            self._settle_early_aborts()
            self.no_claims.set()
        self._note_room()

    def keep_room(self, count: int) -> None:
        """Keep room for so many that are being admitted; less than nothing gives it back."""
        self._kept += count
        self._note_room()

    def note_claim(self, *, due: int, won: int) -> None:
        """A claim of so many has been answered with so many, each of which is added."""
        if self._observer is not None:
            self._observer.claimed(due=due, won=won)

    def add(self, instance: Instance) -> Run:
        """Begin to hold a claimed attempt; one aborted meanwhile is stopped from the start."""
        run = Run(instance)
        self._runs[instance.id] = run
        if self._aborted_early and self._aborted_early.pop(run.key, None) is not None:
            run.stop(Stop.ABORTED)
        if self.has_room.is_set():
            self._note_room()
        return run

    def remove(self, run: Run) -> None:
        """The attempt has ended, durably or for good."""
        if self._runs.get(run.instance.id) is run:
            del self._runs[run.instance.id]
        _remember(self._over, run.key, _OVER_REMEMBERED)
        if not self.has_room.is_set():
            self._note_room()

    def stop(self, id: str, reason: Stop) -> None:
        """Stop the run of this instance, if there is one."""
        if (run := self._runs.get(id)) is not None:
            run.stop(reason)

    def stop_all(self, reason: Stop) -> None:
        """Stop every run."""
        for run in self:
            run.stop(reason)

    def abort(self, aborted: Aborted, *, node: str) -> None:
        """Carry a durable abort to the run that it meets here, or to ``on_abort`` where it never ran."""
        before = aborted.before
        if self._was_told(before.id, aborted.after.revision):
            return
        if before.state is State.PENDING:
            self._tell(aborted.after)
            return
        run = self._runs.get(before.id)
        if run is not None and run.instance.attempt == before.attempt:
            run.stop(Stop.ABORTED)
        elif (before.id, before.attempt) in self._over:
            return  # its runner has met the abort, and called back
        elif before.node == node and self._claiming:
            # The claim is durable and its answer still on the way.
            self._aborted_early[before.id, before.attempt] = aborted.after

    def take_aborted(self) -> list[Instance]:
        """The instances aborted before they ran, each once, for ``on_abort``."""
        self.has_aborted.clear()
        taken = list(self._aborted)
        self._aborted.clear()
        return taken

    def _was_told(self, id: str, revision: int) -> bool:
        """Whether this abort came before: first hand, and now once more by the store's feed."""
        if (id, revision) in self._told:
            return True
        _remember(self._told, (id, revision), _TOLD_REMEMBERED)
        return False

    def _tell(self, instance: Instance) -> None:
        self._aborted.append(instance)
        self.has_aborted.set()

    def _settle_early_aborts(self) -> None:
        for instance in self._aborted_early.values():
            self._tell(instance)
        self._aborted_early.clear()

    def _note_room(self) -> None:
        if self.room:
            self.has_room.set()
        else:
            self.has_room.clear()


def was_aborted_running(aborted: Instance) -> bool:
    """Whether an ABORTED instance was RUNNING before, and not PENDING.

    A claim takes away the error of the attempt before; whatever ends an attempt or takes it from
    its node, and leaves the instance PENDING, puts one there.
    """
    return aborted.state is State.ABORTED and aborted.node is not None and aborted.error is None


def _remember(memory: OrderedDict[tuple[str, int], None], key: tuple[str, int], most: int) -> None:
    memory[key] = None
    if len(memory) > most:
        memory.popitem(last=False)
