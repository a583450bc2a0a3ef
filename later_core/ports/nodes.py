"""What Later needs from a database to know which nodes live: a part of ``Store``, under the same rules."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from later_core.model.instance import Instance
from later_core.model.node import Node, NodeStatus


class NodeStore(ABC):
    """Nodes and their leases, judged by the database's clock, and what becomes of their instances."""

    @abstractmethod
    async def beat(self, node: Node, *, lease: timedelta) -> datetime | None:
        """Renew (or begin) the node's lease by the database's clock; answers the database's now.

        None: the lease had run out and another node has declared this one dead; it must stop
        starting work, and live on only under a new id.
        """

    @abstractmethod
    async def leave(self, node: str) -> None:
        """Forget a node that has stopped in order."""

    @abstractmethod
    async def nodes(self) -> Sequence[NodeStatus]:
        """Every node that beats or has lately been declared dead, in order of id."""

    @abstractmethod
    async def ask_to_drain(self, node: str) -> NodeStatus:
        """Leave word for a living node to drain; it reads that with its next heartbeat.

        Asking again changes nothing.

        Raises:
            NodeNotFound: no living node has this id.
        """

    @abstractmethod
    async def recover(self, *, limit: int) -> Sequence[Instance]:
        """Take RUNNING instances from nodes whose lease has run out by the database's clock.

        First declares such nodes dead, durably. Then each of their RUNNING instances (and each whose
        node is unknown): AT_LEAST_ONCE -> PENDING, due at the database's now, ``error`` with reason
        NODE_LOST and one more of ``uncounted_attempts``; AT_MOST_ONCE -> FAILED, reason NODE_LOST.
        The attempt has ended at the database's now, with that error.
        Answers those that this call changed, as they are after it; call again while the answer is
        as long as ``limit``. Several nodes may call at once: each instance is taken by one of them.
        """

    @abstractmethod
    async def reclaim(self, node: str, running: Collection[tuple[str, int]]) -> Sequence[Instance]:
        """Hand back what is RUNNING under this live node and is not among its running (id, attempt).

        Closes the gap that a claim leaves whose answer was lost for good: such instances go back to
        PENDING, due as before (their code never began, and the attempt is uncounted; it ended at the
        database's now, with the error ``CLAIM_LOST`` of ``model.attempts``).
        Call only while no claim or finish of this node is under way.
        """
