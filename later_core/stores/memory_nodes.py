"""The nodes of the reference store."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from later_core.errors import NodeNotFound
from later_core.model.node import Node, NodeStatus
from later_core.ports.nodes import NodeStore


@dataclass(slots=True)
class _Lease:
    """What is known of a node: when its lease runs out, and whether it was declared dead."""

    until: datetime
    status: NodeStatus

    @property
    def is_dead(self) -> bool:
        return not self.status.is_alive


class MemoryNodes(NodeStore):
    """A part of ``MemoryStore``: who lives, by the clock of the store."""

    def __init__(self) -> None:
        super().__init__()
        self._leases: dict[str, _Lease] = {}

    @abstractmethod
    async def _yield(self) -> None: ...

    @abstractmethod
    def _now(self) -> datetime: ...

    async def beat(self, node: Node, *, lease: timedelta) -> datetime | None:
        await self._yield()
        known = self._leases.get(node.id)
        if known is not None and known.is_dead:
            return None
        asked = known is not None and known.status.is_asked_to_drain
        status = NodeStatus(node=node, beat_time=self._now(), is_asked_to_drain=asked)
        self._leases[node.id] = _Lease(self._now() + lease, status)
        return self._now()

    async def leave(self, node: str) -> None:
        await self._yield()
        self._leases.pop(node, None)

    async def nodes(self) -> Sequence[NodeStatus]:
        await self._yield()
        return [lease.status for _, lease in sorted(self._leases.items())]

    async def ask_to_drain(self, node: str) -> NodeStatus:
        await self._yield()
        lease = self._leases.get(node)
        if lease is None or lease.is_dead:
            raise NodeNotFound(node)
        lease.status = replace(lease.status, is_asked_to_drain=True)
        return lease.status

    def _bury(self, now: datetime) -> None:
        """Declare dead each node whose lease has run out."""
        for lease in self._leases.values():
            if lease.until <= now:
                lease.status = replace(lease.status, is_alive=False)

    def _living(self) -> Collection[str]:
        return {node for node, lease in self._leases.items() if not lease.is_dead}
