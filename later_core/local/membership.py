"""Which living nodes there are, and which share of the instances is this node's to start.

Only a way to share the load: the claim alone decides who runs what.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from later_core.model.bucket import BUCKETS, bucket_of
from later_core.model.node import NodeStatus


@dataclass(frozen=True, slots=True)
class Share:
    """Some tasks, and the buckets of their instances that are this node's (None: all)."""

    tasks: tuple[str, ...]
    buckets: frozenset[int] | None


def owner_of(bucket: int, nodes: Iterable[str]) -> str:
    """The node that has the bucket, by rendezvous (highest random weight) hashing.

    Every node finds the same one; when a node comes or goes, only its own buckets move
    (Thaler and Ravishankar, 1998).
    """
    return max(nodes, key=lambda node: (_weight(node, bucket), node))


@lru_cache(maxsize=4)
def buckets_by_node(nodes: tuple[str, ...]) -> Mapping[str, int]:
    """How many of the buckets each of these nodes has; one that has none is not named.

    Remembered, since it costs a hash for each bucket and node.
    """
    return Counter(owner_of(bucket, nodes) for bucket in range(BUCKETS)) if nodes else {}


@lru_cache(maxsize=16_384)  # 64 nodes: whoever comes or goes, the others' weights stay
def _weight(node: str, bucket: int) -> bytes:
    return hashlib.blake2b(f"{bucket} {node}".encode(), digest_size=8).digest()


class Membership:
    """The living nodes that take on work, as the last heartbeat showed them.

    Until others are seen a node takes everything to be its own: two nodes that both claim
    something cost one failed claim, an instance that nobody claims would be late.
    """

    def __init__(self, *, tasks: Collection[str]) -> None:
        self._tasks = tuple(sorted(tasks))
        self._nodes: dict[str, frozenset[str]] = {}
        self._neighbours: set[str] = set()
        #: Set while another node lives: only then is there news to be heard.
        self.has_neighbours = asyncio.Event()
        self._shares: Sequence[Share] = (Share(self._tasks, None),)
        self._buckets: dict[str, frozenset[int] | None] = dict.fromkeys(self._tasks)
        #: Of what no node has the task for (None: all).
        self._unowned_buckets: frozenset[int] | None = None

    @property
    def is_alone(self) -> bool:
        """Whether no other node lives: a draining one still hands work back."""
        return not self._neighbours

    @property
    def living(self) -> int:
        """How many nodes answer requests, this one and those that drain included."""
        return len(self._neighbours) + 1

    @property
    def is_shared(self) -> bool:
        """Whether other nodes take on work."""
        return len(self._nodes) > 1

    @property
    def is_anyone_leaving(self) -> bool:
        """Whether another node lives that leaves its share to the others."""
        return not self._neighbours <= self._nodes.keys()

    @property
    def size(self) -> int:
        """How many nodes take on work, this one included."""
        return max(1, len(self._nodes))

    @property
    def shares(self) -> Sequence[Share]:
        """What to pull: tasks that the same nodes have, with this node's buckets of them."""
        return self._shares

    def can_run(self, task: str) -> bool:
        """Whether the task is installed on this node."""
        return task in self._buckets

    def owns(self, task: str, id: str) -> bool:
        """Whether the instance is this node's to start."""
        if task not in self._buckets:
            return False
        buckets = self._buckets[task]
        return buckets is None or bucket_of(id) in buckets

    def may_own(self, id: str) -> bool:
        """Whether the instance may be this node's, whatever its task."""
        bucket = bucket_of(id)
        return any(share.buckets is None or bucket in share.buckets for share in self._shares)

    @property
    def planning_buckets(self) -> frozenset[int] | None:
        """The buckets in which there may be schedules that this node plans (None: all)."""
        if self._unowned_buckets is None or any(share.buckets is None for share in self._shares):
            return None
        return self._unowned_buckets.union(*(share.buckets or () for share in self._shares))

    def plans(self, task: str, id: str) -> bool:
        """Whether the schedule of this task is this node's to plan: of those that have the task, or
        of all where none has it.
        """
        if task in self._buckets:
            return self.owns(task, id)
        if any(task in tasks for tasks in self._nodes.values()):
            return False
        return self._unowned_buckets is None or bucket_of(id) in self._unowned_buckets

    def update(self, own: str, statuses: Collection[NodeStatus]) -> bool:
        """Take in who lives; True when they are not those of before.

        ``own`` is this node's id, whether the store shows it yet or not.
        """
        neighbours = {s.node.id for s in statuses if s.is_alive and s.node.id != own}
        nodes = {
            status.node.id: frozenset(status.node.tasks)
            for status in statuses
            if status.is_alive and not status.node.is_draining and status.node.id != own
        }
        nodes[own] = frozenset(self._tasks)
        if nodes == self._nodes and neighbours == self._neighbours:
            return False
        self._nodes, self._neighbours = nodes, neighbours
        if neighbours:
            self.has_neighbours.set()
        else:
            self.has_neighbours.clear()
        self._share_out(own)
        return True

    def _share_out(self, own: str) -> None:
        """Tasks that the same nodes have are shared alike, so their buckets are found once."""
        tasks_by_holders: dict[frozenset[str], list[str]] = defaultdict(list)
        for task in self._tasks:
            holders = frozenset(node for node, tasks in self._nodes.items() if task in tasks)
            tasks_by_holders[holders].append(task)
        shares = []
        for holders, tasks in tasks_by_holders.items():
            shares.append(Share(tuple(tasks), _buckets_of(own, holders)))
        self._shares = shares
        self._unowned_buckets = _buckets_of(own, self._nodes)
        self._buckets = {task: share.buckets for share in shares for task in share.tasks}


def _buckets_of(own: str, nodes: Collection[str]) -> frozenset[int] | None:
    """This node's buckets among these nodes, of which it is one (None: all)."""
    if len(nodes) <= 1:
        return None
    return frozenset(bucket for bucket in range(BUCKETS) if owner_of(bucket, nodes) == own)
