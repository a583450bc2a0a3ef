"""One trial: jobs are added, a scheduler runs them, and their file of starts is followed to the end."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.peers.account import Account
from benchmarks.peers.contract import Jobs, Peer, Place, Scheduler

_POLL_SECONDS = 0.1
#: Adding may take this much longer than it did before.
_MARGIN = 1.4
_START_SECONDS = 5.0
_PROBE_JOBS = 400
_ADD_SECONDS = 600.0
_TRIES = 3


class TooSlow(Exception):
    """The peer could not be brought into the state that is to be measured in time."""


@dataclass(slots=True, kw_only=True)
class Trial:
    """What was asked for, and what became of it."""

    jobs: Jobs
    account: Account
    #: How long the adding took.
    add_seconds: float
    #: What the peer kept to be run when all was over.
    stored: frozenset[int] = frozenset()
    notes: list[str] = field(default_factory=list)

    @property
    def lost(self) -> int:
        """Jobs that never began and are not kept: nothing will ever run them."""
        return len(self.account.missing(self.jobs.count) - self.stored)

    @property
    def not_done(self) -> int:
        """Jobs that had not begun when the time was over, but are kept."""
        return len(self.account.missing(self.jobs.count) & self.stored)

    @property
    def correctness(self) -> dict[str, int]:
        return {"lost": self.lost, "twice": self.account.twice, "early": self.account.early}


class Starts:
    """The file of starts, read as it grows."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.account = Account()
        self._offset = 0

    def read(self) -> bool:
        """Take in what is new; whether anything was."""
        if not self.path.exists():
            return False
        with self.path.open("rb") as file:
            file.seek(self._offset)
            new = file.read()
        whole = new[: new.rfind(b"\n") + 1]
        self._offset += len(whole)
        self.account.add(whole.decode().splitlines())
        return bool(whole)

    async def follow(
        self, count: int, *, after: float, quiet_seconds: float, until: float, to_the_end: bool
    ) -> None:
        """Read on until all have begun and ended, or nothing moves, or the time is over.

        Nothing moves when nothing was written for so long, from ``after`` on. With ``to_the_end`` it waits
        for that even if all have ended, to see what begins again.
        """
        moved = after
        while True:
            if self.read():
                moved = max(after, time.time())
            begun = not self.account.missing(count)
            if begun and len(self.account.ended) >= count and not to_the_end:
                return
            if time.time() - moved > quiet_seconds or time.time() > until:
                return
            await asyncio.sleep(_POLL_SECONDS)


class Bench:
    """A peer on its place, and how fast it was seen to add."""

    def __init__(self, peer: Peer, mongodb_uri: str, *, seed: int) -> None:
        self.peer = peer
        self.seed = seed
        self._uri = mongodb_uri
        self._adds_per_second: float | None = None

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Starts]:
        """The peer with nothing stored; all of it is gone afterwards."""
        with tempfile.TemporaryDirectory(prefix="later-peers-") as directory:
            place = Place(
                mongodb_uri=self._uri,
                database=f"peers_{self.peer.name.replace('-', '_')}",
                directory=Path(directory),
            )
            await self.peer.open(place)
            try:
                yield Starts(Path(directory) / "starts")
            finally:
                await self.peer.close()

    @asynccontextmanager
    async def running(
        self, starts: Starts, *, recovery_seconds: float | None = None
    ) -> AsyncIterator[Scheduler]:
        """Its scheduler, killed afterwards."""
        scheduler = await self.peer.start(starts.path, recovery_seconds=recovery_seconds)
        try:
            yield scheduler
        finally:
            await scheduler.kill()

    async def add(self, jobs: Jobs) -> float:
        """Add them; answers the seconds that it took, and remembers how fast it was."""
        seconds = await self.peer.add(jobs, seconds=_ADD_SECONDS)
        self._adds_per_second = jobs.count / seconds
        return seconds

    @asynccontextmanager
    async def ready(
        self, count: int, per_second: float | None, *, recovery_seconds: float | None = None
    ) -> AsyncIterator[tuple[Trial, Starts, Scheduler]]:
        """All added and the scheduler up before the first is due.

        Raises:
            TooSlow: that could not be had, in several tries.

        """
        if self._adds_per_second is None:
            async with self.opened():
                await self.add(self._jobs(_PROBE_JOBS, time.time() + 3_600, None))
        for _ in range(_TRIES):
            async with self.opened() as starts:
                due = self._due(count)
                jobs = self._jobs(count, due, per_second)
                if self.peer.runs_while_adding:
                    async with self.running(starts, recovery_seconds=recovery_seconds) as scheduler:
                        seconds = await self.add(jobs)
                        if time.time() < due:
                            yield _trial(jobs, starts, seconds), starts, scheduler
                            return
                else:
                    seconds = await self.add(jobs)
                    async with self.running(starts, recovery_seconds=recovery_seconds) as scheduler:
                        if time.time() < due:
                            yield _trial(jobs, starts, seconds), starts, scheduler
                            return
        raise TooSlow(f"{count} jobs were not added before they were due, in {_TRIES} tries")

    def _due(self, count: int) -> float:
        assert self._adds_per_second is not None
        lead = _START_SECONDS + _MARGIN * count / self._adds_per_second
        # On a whole second, so that a peer that rounds gains or loses nothing.
        return float(int(time.time() + lead) + 1)

    def _jobs(self, count: int, due: float, per_second: float | None) -> Jobs:
        return Jobs(count=count, due=due, per_second=per_second, seed=self.seed)


def _trial(jobs: Jobs, starts: Starts, seconds: float) -> Trial:
    return Trial(jobs=jobs, account=starts.account, add_seconds=seconds)
