"""How much memory a peer's processes take."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.peers.contract import Peer, Scheduler

_SETTLE_SECONDS = 3.0
_AT_MOST_SECONDS = 120.0
_MB = 1024  # the kernel counts in KiB


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Resident memory, in MB of 2**20 bytes."""

    #: RSS of what schedules and runs jobs, all its processes added up.
    scheduler_mb: float
    #: RSS of what keeps the jobs, where that is not MongoDB.
    broker_mb: float
    #: Of both, with what forked processes share counted once.
    total_pss_mb: float


def taken(peer: Peer, scheduler: Scheduler) -> Memory:
    """What is taken now."""
    pids, brokers = scheduler.pids(), peer.broker_pids()
    return Memory(
        scheduler_mb=_sum(pids, "Rss"),
        broker_mb=_sum(brokers, "Rss"),
        total_pss_mb=_sum(pids + brokers, "Pss"),
    )


async def settled(peer: Peer, scheduler: Scheduler) -> Memory:
    """What is taken once it has stopped changing by more than 1 % within three seconds."""
    until = time.monotonic() + _AT_MOST_SECONDS
    now = taken(peer, scheduler)
    while True:
        await asyncio.sleep(_SETTLE_SECONDS)
        before, now = now, taken(peer, scheduler)
        change = abs(now.total_pss_mb - before.total_pss_mb)
        if change <= 0.01 * before.total_pss_mb or time.monotonic() > until:
            return now


def _sum(pids: list[int], what: str) -> float:
    return round(sum(_kib(pid, what) for pid in pids) / _MB, 1)


def _kib(pid: int, what: str) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0  # it ended meanwhile
    return sum(int(line.split()[1]) for line in lines if line.startswith(f"{what}:"))
