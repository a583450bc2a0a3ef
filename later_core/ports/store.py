"""What Later needs from a database.

``StoreContract`` of the test kit checks every promise made here; MongoDB and the in-memory
reference pass the same suite, and so must a stranger's store.

Four rules hold for every method. A method that changes something has done so durably (it survives
the loss of any single process) once it returns. Each change of an instance is one atomic
compare-and-set that raises its revision by one. ``StoreUnavailable`` may be raised by any method;
the write may then have happened or not, and repeating the call is safe: its description says what
a repeated call answers. Whatever takes an instance out of RUNNING puts the attempt that it was in behind its
``attempts``, with the same write (``model.attempts.with_end``: only the last ``ATTEMPTS_KEPT`` stay), and
nothing else changes them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from later_core.errors import EncryptionKeyMissing
from later_core.model.event import EventBatch
from later_core.model.instance import Instance
from later_core.model.outcome import Ending
from later_core.model.query import Counts, DueEntry, Filter, Page, PageKey
from later_core.model.schedule import Schedule
from later_core.model.scope import EVERYTHING, Scope
from later_core.model.transfer import Restored
from later_core.ports.access import AccessStore
from later_core.ports.admission import AdmissionStore
from later_core.ports.nodes import NodeStore
from later_core.ports.schedules import ScheduleStore


@dataclass(frozen=True, slots=True)
class Inserted:
    """The instance is stored, now or by an earlier call with the same content."""

    instance: Instance
    is_new: bool


@dataclass(frozen=True, slots=True)
class IdTaken:
    """Another instance has this id: its fingerprint differs."""

    id: str


InsertResult = Inserted | IdTaken


@dataclass(frozen=True, slots=True)
class Aborted:
    """The abort took effect. ``before`` is the instance as it was just before the abort."""

    before: Instance
    after: Instance


class Snapshot(ABC):
    """All instances that match a filter, and all schedules, as they were at one moment."""

    #: ``Store.follow(position)`` gives every change after that moment, and none before it.
    position: str
    #: ``Store.snapshot(moment=…)`` reads at that very moment again, for a while.
    moment: str
    #: That moment by the database's clock, to the second or finer; not after it.
    time: datetime
    #: Of the records that were left out so far, those whose encryption key is not here.
    locked: Sequence[EncryptionKeyMissing] = ()

    @abstractmethod
    async def estimate(self) -> int:
        """About how many instances the store holds in all, whatever the filter; costs next to nothing."""

    @abstractmethod
    def pages(self) -> AsyncIterator[Sequence[Instance]]:
        """The instances in order of (execution_time, id), in pages of bounded size.

        Raises:
            HistoryLost: the reader was so slow that the database let go of the moment.

        """

    @abstractmethod
    def schedules(self, *, after: str | None = None) -> AsyncIterator[Sequence[Schedule]]:
        """The schedules with ids behind ``after``, in order of id, in pages of bounded size.

        Raises:
            HistoryLost: as above.

        """


class Store(ScheduleStore, AdmissionStore, NodeStore, AccessStore):
    """The database of one Later. An async context manager: entering connects and prepares.

    What it promises of schedules stands in ``later_core.ports.schedules``, of slots and permits in
    ``later_core.ports.admission``, of nodes in ``later_core.ports.nodes``, of tokens and the audit log in
    ``later_core.ports.access``.
    """

    #: Whether it is reached by a socket of this machine, so that no node elsewhere can share it.
    is_local: bool = False
    #: Whether its clock is surely this machine's wall clock; known once it is open.
    shares_clock: bool = False

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @abstractmethod
    async def open(self) -> None:
        """Connect, check, and prepare what is missing (collections, indexes, retention).

        Safe to call on several nodes at once.

        Raises:
            StoreUnavailable: the database does not answer.
            StandaloneServer, SchemaTooNew, DatabaseTooOld: a person must act.

        """

    @abstractmethod
    async def close(self) -> None:
        """Release every connection. Calls that are under way may fail with StoreUnavailable."""

    @abstractmethod
    async def now(self) -> datetime:
        """What the database's clock shows as this returns, UTC; never ahead of it, and hardly behind."""

    # -- what people ask ---------------------------------------------------------------------

    @abstractmethod
    async def insert(self, instances: Sequence[Instance]) -> Sequence[InsertResult]:
        """Store new PENDING instances; answers in the order of the arguments.

        Each instance is atomic by itself: some may be stored and others not. An id that is stored
        already answers ``Inserted(stored, is_new=False)`` when the fingerprints are equal (also
        when the stored one has changed state since), else ``IdTaken``; the same holds within one
        call. Repeating a call is safe.
        """

    @abstractmethod
    async def get(self, id: str) -> Instance | None:
        """The instance as it is on the primary, durable changes only."""

    @abstractmethod
    async def list(self, filter: Filter, *, after: PageKey | None, limit: int) -> Page:
        """A page of at most ``limit`` instances behind ``after``, in order of (execution_time, id).

        A page also closes early once its parameters and results reach ``RESPONSE_MAX_BYTES``; it
        holds at least one instance unless there are none. A record that cannot be read is logged
        and left out, and never hides those behind it.
        """

    @abstractmethod
    async def abort(self, id: str) -> Aborted:
        """PENDING or RUNNING -> ABORTED, with ``finish_time`` the database's now. The attempt of a running
        one has ended then, with the error ``ABORTED`` of ``model.attempts``.

        Raises:
            InstanceNotFound: no such id.
            InstanceEnded: it has ended (a repeated abort too).

        """

    @abstractmethod
    async def reschedule(
        self, id: str, execution_time: datetime, *, revision: int | None
    ) -> Instance:
        """Move a PENDING instance to another time; with a revision, only if it still has that one.

        Raises:
            InstanceNotFound, InstanceRunning, InstanceEnded, RevisionMismatch.

        """

    @abstractmethod
    async def retry(self, id: str, execution_time: datetime) -> Instance:
        """An ended instance -> PENDING, due at that time, with its attempts counted on.

        Clears ``finish_time``, ``start_time``, ``result``, ``error`` and ``node``, and keeps the
        history, in which the attempt that ended the instance stands too. Attempt numbers
        are never used again; those made so far become ``uncounted_attempts``, so that the policy
        begins anew.

        Raises:
            InstanceNotFound, InstanceNotEnded.

        """

    @abstractmethod
    async def counts(self, installed: Collection[str], *, scope: Scope = EVERYTHING) -> Counts:
        """Instances per state (every state is a key), and PENDING per task not in ``installed``; of
        the scope alone.
        """

    # -- what time asks ----------------------------------------------------------------------

    @abstractmethod
    async def due(
        self,
        *,
        tasks: Collection[str],
        buckets: Collection[int] | None = None,
        since: datetime | None,
        until: datetime,
        after: DueEntry | None,
        limit: int,
    ) -> Sequence[DueEntry]:
        """PENDING instances of these tasks with since <= execution_time <= until (None: however
        old), in order of (due_ms, id), behind ``after``; of these buckets alone, if any are named
        (``model.bucket``).

        At most ``limit`` of them. An empty answer means there are no more; a short one does not.
        Reads an index alone, never whole records.
        """

    @abstractmethod
    async def raised(
        self,
        *,
        tasks: Collection[str],
        buckets: Collection[int] | None = None,
        since: datetime | None,
        until: datetime,
        after: DueEntry | None,
        limit: int,
    ) -> Sequence[DueEntry]:
        """As ``due``, of those alone that have a priority above 0: the highest first, those of one priority
        in order of (due_ms, id), each with its ``priority``.

        Where there are none it costs next to nothing, and instances of priority 0 pay nothing for it.
        """

    @abstractmethod
    async def claim(
        self,
        ids: Sequence[str],
        *,
        node: str,
        until: datetime,
        is_admitted: bool = False,
        but_tasks: Collection[str] = (),
    ) -> Sequence[Instance]:
        """PENDING -> RUNNING by this node, for those of the ids that are PENDING and due by ``until``.

        Instances with a ``concurrency`` are left alone, unless ``is_admitted`` says that the node holds
        a slot for each of them; and so are those of ``but_tasks``. ``gated`` tells of both.

        Sets ``node``, adds one to ``attempt``, clears ``start_time`` and ``error``. Answers exactly
        the instances that this very call claimed, as they are after it, in any order. After an
        ambiguous failure of the write the store reads back what this call claimed; when it cannot
        even do that it raises StoreUnavailable, and ``reclaim`` brings back what was claimed.
        """

    @abstractmethod
    async def started(self, starts: Mapping[tuple[str, int], datetime], *, node: str) -> None:
        """Record ``start_time`` of attempts that run long, by (id, attempt), while still RUNNING here.

        Those that have ended meanwhile are left alone.
        """

    @abstractmethod
    async def finish(self, endings: Sequence[Ending]) -> Sequence[bool]:
        """Write the ends of attempts; True for each one that was accepted.

        An ending is accepted only while the instance is RUNNING with that node and attempt, or when
        this same ending has been written already (a repeated call). False: the attempt is no longer
        this node's (aborted, or taken over), and nothing was changed. The attempt ended at ``end_time``,
        with ``attempt_error``.
        """

    # -- history -----------------------------------------------------------------------------

    @abstractmethod
    def follow(self, position: str | None) -> AsyncGenerator[EventBatch, None]:
        """Every change after the position (None: from now on), in order, without gap or repeat.

        Close it (``contextlib.aclosing``) to give its connection back at once.

        Never ends by itself. With nothing to tell it yields an empty batch (a bookmark) about once
        a second; the first batch comes at once, so that the caller knows where it stands. Removal
        at the end of the retention is not a change.

        Raises:
            ResumeTokenInvalid: not a position of this store.
            HistoryLost: the history behind the position is gone.
            StoreUnavailable: the connection broke; follow again from the last position.

        """

    def news(self, position: str | None) -> AsyncGenerator[EventBatch, None]:
        """As ``follow``, for nodes alone: at least each change after which an instance is PENDING, and
        each by which it was ABORTED. Others may be left out.

        Every node of a cluster reads these, whether anybody watches or not: a store should tell as
        little as it can. A position is one that ``news`` gave, or where a bookmark of ``follow``
        stands; behind another event of ``follow`` it may be refused as lost.

        Raises:
            As ``follow``.

        """
        return self.follow(position)

    @abstractmethod
    def snapshot(
        self, filter: Filter, *, moment: str | None = None, after: PageKey | None = None
    ) -> AbstractAsyncContextManager[Snapshot]:
        """The instances that match, as they were at one moment (see ``Snapshot``); those alone that
        come behind ``after``, if that is given.

        With the ``moment`` of an earlier snapshot it is that very moment again. A store remembers it
        for some minutes, however much is written meanwhile.

        Raises:
            HistoryLost: the moment is no longer remembered.
            ResumeTokenInvalid: not a moment of this store.

        """

    # -- transfer ----------------------------------------------------------------------------

    @abstractmethod
    async def restore(
        self, instances: Sequence[Instance], *, replace: bool, validate_only: bool
    ) -> Sequence[Restored]:
        """Store instances as they are, at the revision they have, PENDING or ended; answers in their
        order. No two of one call have the same id.

        What becomes of each is said by ``model.transfer.judge``, in one compare-and-set with what is
        stored; what takes another's place is changed as ``in_place_of`` says. Each is atomic by
        itself. A repeated call finds what the first one stored, EXISTING. With ``validate_only``
        nothing is changed, and the answer is what would become of them.
        """
