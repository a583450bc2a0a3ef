"""Figures of a node and its store, as operators see them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from later_core.model.query import Counts


@dataclass(frozen=True, slots=True, kw_only=True)
class Lateness:
    """How long after the execution time the task's code began, over the last starts (at most 10,000)."""

    count: int
    p50: timedelta
    p99: timedelta
    max: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Stats:
    """``counts`` is of the whole store, everything else of the node that answers."""

    counts: Counts
    node: str
    version: str
    started_at: datetime
    window_size: int
    running: int
    subscribers: int
    lateness: Lateness
    tasks: Sequence[str]
