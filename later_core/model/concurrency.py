"""A limit on how many instances run at once in the whole cluster, and what it takes to be one of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Concurrency:
    """At most ``limit`` instances that carry this ``key`` run at once, whatever their tasks and nodes.

    Each instance is admitted by its own limit: it begins only while fewer than so many of its key hold a
    slot, whatever limits those have.
    """

    key: str
    limit: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """The right of a node to run one instance of a key.

    ``serial`` is given by the node and never again: (node, serial) tells this slot from every other, those
    of other attempts of the same instance too. ``limit`` is that by which it is asked for.
    """

    key: str
    id: str
    node: str
    serial: int
    limit: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Gated:
    """A PENDING instance that a claim left alone, and what it needs to be admitted.

    ``due_ms`` is its execution time, in milliseconds since the Unix epoch.
    """

    id: str
    task: str
    due_ms: int
    concurrency: Concurrency | None
    priority: int = 0
    start_deadline: timedelta | None = None
