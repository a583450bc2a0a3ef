"""A node: one server process, as the others see it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One server process, as it describes itself with each heartbeat.

    ``id`` is new at each start; ``tasks`` are those it has installed; ``window_size`` and
    ``running`` are counts of instances. A node that ``is_draining`` leaves its share to the others;
    one that ``is_drained`` was asked to drain, starts nothing more, and nothing runs on it.
    ``clock_offset`` is the wall clock of its machine less the database's, where it has said so. One that
    ``has_local_database`` reaches its database by a socket of its machine, as an embedded one.
    """

    id: str
    address: str
    version: str
    tasks: Sequence[str]
    started_at: datetime
    window_size: int = 0
    running: int = 0
    is_draining: bool = False
    is_drained: bool = False
    clock_offset: timedelta | None = None
    has_local_database: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeStatus:
    """A node as the store knows it; instants are the database's, UTC.

    ``is_alive`` until another node declares it dead. ``is_asked_to_drain`` once somebody has asked
    for that, whether the node has heard it yet or not.
    """

    node: Node
    beat_time: datetime
    is_alive: bool = True
    is_asked_to_drain: bool = False


@dataclass(frozen=True, slots=True)
class ListedNode:
    """A node, and how many of the buckets are its share, of tasks that every node has installed."""

    status: NodeStatus
    buckets: int
