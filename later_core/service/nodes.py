"""The nodes that share the store, and what can be asked of them."""

from __future__ import annotations

from collections.abc import Sequence

from later_core.local.membership import buckets_by_node
from later_core.model.node import ListedNode, NodeStatus
from later_core.ports.store import Store


class Nodes:
    """Answers from the store alone, so that every node gives the same answer."""

    def __init__(self, *, store: Store) -> None:
        self._store = store

    async def list(self) -> Sequence[ListedNode]:
        """Those that live or have lately been declared dead, in order of id.

        Raises:
            StoreUnavailable.
        """
        return _with_buckets(await self._store.nodes())

    async def drain(self, id: str) -> ListedNode:
        """Ask a living node to drain; it hears of that with its next heartbeat.

        Asking again changes nothing.

        Raises:
            NodeNotFound, StoreUnavailable.
        """
        asked = await self._store.ask_to_drain(id)
        listed = _with_buckets(await self._store.nodes())
        # It may have left in between: then the answer is what it was.
        return next((node for node in listed if node.status.node.id == id), ListedNode(asked, 0))


def _with_buckets(statuses: Sequence[NodeStatus]) -> Sequence[ListedNode]:
    takers = [s.node.id for s in statuses if s.is_alive and not s.node.is_draining]
    buckets = buckets_by_node(tuple(takers))
    return [ListedNode(status, buckets.get(status.node.id, 0)) for status in statuses]
