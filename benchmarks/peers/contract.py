"""What a peer must be able to do to be measured."""

from __future__ import annotations

import random
import string
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PAYLOAD_BYTES = 100


class Unavailable(Exception):
    """The peer cannot be measured here; the message says what to do about it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Jobs:
    """No-op jobs to add: number ``index`` is due at ``due + index / per_second``; all at once if None.

    Times are cut to whole milliseconds, since a BSON date holds no more: none is early by rounding.
    """

    count: int
    due: float
    per_second: float | None = None
    first_index: int = 0
    seed: int = 0

    @property
    def payload(self) -> str:
        """100 bytes, the same for one seed."""
        letters = random.Random(self.seed).choices(string.ascii_letters, k=PAYLOAD_BYTES)
        return "".join(letters)

    def document(self) -> dict[str, Any]:
        """As the peer's program reads it."""
        return {
            "count": self.count,
            "due_ms": int(self.due * 1e3),
            "per_second": self.per_second,
            "first_index": self.first_index,
            "payload": self.payload,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a peer lives while it is measured."""

    mongodb_uri: str
    database: str
    #: Of this measure alone; what is in it is deleted afterwards.
    directory: Path


class Scheduler(ABC):
    """The peer's scheduler, running: one process or several."""

    @abstractmethod
    def pids(self) -> list[int]:
        """The process ids of what schedules and runs jobs."""

    @abstractmethod
    def alive(self) -> bool:
        """Whether it still runs."""

    @abstractmethod
    async def kill(self) -> None:
        """Kill -9 what schedules and runs jobs, not the broker; returns once it is gone."""


class Peer(ABC):
    """Another scheduler, installed and configured as its own documentation advises.

    Its job appends to the file of starts as ``benchmarks.peers.account`` says.
    """

    name: str
    #: One line for the table: versions apart, what it is and where it keeps its jobs.
    title: str
    #: Its scheduler runs while jobs are added, because it could not take them in afterwards in time.
    runs_while_adding: bool = False
    #: What it does by itself after kill -9, for the notes.
    recovery: str

    def broker_pids(self) -> list[int]:
        """The process ids of what keeps its jobs, where that is not MongoDB."""
        return []

    @abstractmethod
    async def install(self, cache: Path) -> dict[str, str]:
        """Make its environment in the cache, unless it is there; answers the versions.

        Raises:
            Unavailable: it cannot be had here; says the remedy.

        """

    @abstractmethod
    async def open(self, place: Place) -> None:
        """Begin a measure with nothing stored.

        Raises:
            Unavailable: what it needs does not start.

        """

    @abstractmethod
    async def close(self) -> None:
        """End a measure: nothing of it runs or is stored any more."""

    @abstractmethod
    async def add(self, jobs: Jobs, *, seconds: float) -> float:
        """Add them all, by the fastest way that it documents; answers the seconds that the adding took.

        Raises:
            TimeoutError: it took longer than that; its process is gone.

        """

    @abstractmethod
    async def stored(self) -> set[int]:
        """The jobs that are kept to be run; asked while no scheduler runs."""

    @abstractmethod
    async def start(self, starts: Path, *, recovery_seconds: float | None) -> Scheduler:
        """Start the scheduler; its jobs write to that file. Returns once it is ready.

        ``recovery_seconds`` is after what time jobs of a dead process are taken up again, for those who
        can be told; None leaves what they do by default.

        Raises:
            TimeoutError: it was not ready in time; its process is gone.

        """
