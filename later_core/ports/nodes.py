"""What Later needs from a database to know which nodes live: a part of ``Store``, under the same rules."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import datetime, timedelta

from later_core.model.node import Node, NodeStatus


class NodeStore(ABC):
    """Nodes and their leases, judged by the database's clock."""

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
