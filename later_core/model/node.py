"""A node: one server process, as the others see it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One server process. ``id`` is new at each start; ``tasks`` are those it has installed."""

    id: str
    address: str
    version: str
    tasks: Sequence[str]
    started_at: datetime
