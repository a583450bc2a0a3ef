"""What Later needs from a database to run no more at once than is allowed: a part of ``Store``.

A slot is held by a node from ``take_slots`` until it is given back, swept by its own node, or freed
because that node is dead or gone. Nobody else takes it away: only its node knows whether the code still
runs, and once the node is dead by the database's clock, it has stopped what it ran.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from later_core.model.concurrency import Gated, Slot
from later_core.model.rate import Permits, RateLimit


class AdmissionStore(ABC):
    """Slots of concurrency keys, permits of tasks with a rate limit, and which instances need one."""

    @abstractmethod
    async def gated(
        self, ids: Sequence[str], *, until: datetime, tasks: Collection[str] = ()
    ) -> Sequence[Gated]:
        """Those of the ids that are PENDING, due by ``until``, and have a ``concurrency`` or are of
        these tasks; in any order.
        """

    @abstractmethod
    async def take_slots(self, slots: Sequence[Slot]) -> Sequence[bool]:
        """Whether each slot is now held, in the order of the arguments.

        Those of one key are taken in their order, each only while fewer than its ``limit`` are held, in
        one atomic step. Repeating a call is safe: a slot that is held already stays so. A call without
        an answer may have taken some, or take them later; ``sweep_slots`` finds them.
        """

    @abstractmethod
    async def give_back_slots(self, slots: Sequence[Slot]) -> None:
        """Free these slots; those that are not held are none. Repeating a call is safe."""

    @abstractmethod
    async def sweep_slots(self, node: str, *, up_to: int, keep: Collection[int]) -> None:
        """Free the slots of this node whose serials are at most ``up_to`` and not among ``keep``.

        Finds what was taken by a call without an answer. What is taken later has a larger serial, so
        that a sweep which arrives late does no harm.
        """

    @abstractmethod
    async def free_slots(self) -> None:
        """Free the slots of nodes that were declared dead (``recover``) or are unknown."""

    @abstractmethod
    async def reserve_permits(
        self, task: str, rate: RateLimit, *, count: int, ahead: timedelta
    ) -> Permits:
        """The next permits of the task, by ``model.rate.reserve`` and the database's now; atomic.

        Each permit is given once. Repeating a call gives others: those of a call without an answer are
        lost, and the starts that they were for come later.
        """

    @abstractmethod
    async def slots(self, key: str) -> Sequence[Slot]:
        """The slots of the key that are held, in the order in which they were taken; ``limit`` is 0."""
