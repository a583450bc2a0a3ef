"""The programs of the peers as processes: started, spoken to, ended, each within a deadline."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from abc import abstractmethod
from asyncio.subprocess import PIPE, Process
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from benchmarks.peers.contract import Jobs, Peer, Place, Scheduler
from benchmarks.peers.mongodb import drop, values

#: Where the programs are that run in the peers' environments.
PROGRAMS = Path(__file__).parent / "programs"

_READY_SECONDS = 60
_LOG_BYTES = 2_000


class ProgramPeer(Peer):
    """A peer that is driven by one program, which adds jobs or runs them as its last argument says."""

    #: Where MongoDB keeps what is still to be run: collection, query, and the field with the index.
    pending: ClassVar[tuple[tuple[str, dict[str, Any], str], ...]]

    def __init__(self, **options: Any) -> None:
        self._options = options
        self._place: Place | None = None

    @property
    @abstractmethod
    def command(self) -> list[str]:
        """The interpreter and the program; known once it is installed."""

    async def open(self, place: Place) -> None:
        self._place = place
        self._options |= {"uri": place.mongodb_uri, "database": place.database}
        await drop(place.mongodb_uri, place.database)

    async def close(self) -> None:
        if self._place is not None:
            await drop(self._place.mongodb_uri, self._place.database)

    async def add(self, jobs: Jobs, *, seconds: float) -> float:
        wanted = {"do": "add", "jobs": jobs.document(), "recovery": None}
        answer = await answer_of(self.command, self._options | wanted, self._log, seconds=seconds)
        return float(answer["seconds"])

    async def stored(self) -> set[int]:
        assert self._place is not None
        uri, database = self._place.mongodb_uri, self._place.database
        found = [await values(uri, database, *where) for where in self.pending]
        return {int(index) for some in found for index in some}

    async def start(self, starts: Path, *, recovery_seconds: float | None) -> Scheduler:
        wanted = {"do": "run", "starts": str(starts), "recovery": recovery_seconds}
        return await running(self.command, self._options | wanted, self._log)

    @property
    def _log(self) -> Path:
        assert self._place is not None
        return self._place.directory / f"{self.name}.log"


async def answer_of(
    command: Sequence[str], configuration: Mapping[str, Any], log: Path, *, seconds: float
) -> dict[str, Any]:
    """Run a program to its end; answers the JSON that it printed.

    Raises:
        TimeoutError: it took too long, and was killed.
        RuntimeError: it failed; says its last words.

    """
    process = await _spawn(command, configuration, log)
    assert process.stdout is not None
    try:
        async with asyncio.timeout(seconds):
            output = await process.stdout.read()
            await process.wait()
    except (TimeoutError, asyncio.CancelledError):
        await _kill_group(process)
        raise
    if process.returncode:
        raise RuntimeError(f"{Path(command[-1]).name} failed: {last_words(log)}")
    answer: dict[str, Any] = json.loads(output)
    return answer


async def running(
    command: Sequence[str], configuration: Mapping[str, Any], log: Path
) -> RunningProgram:
    """Start a program and wait until it says ``ready``.

    Raises:
        TimeoutError: it did not say so in time, and was killed.
        RuntimeError: it ended instead; says its last words.

    """
    process = await _spawn(command, configuration, log)
    assert process.stdout is not None
    try:
        line = await asyncio.wait_for(process.stdout.readline(), _READY_SECONDS)
    except (TimeoutError, asyncio.CancelledError):
        await _kill_group(process)
        raise
    if line.strip() != b"ready":
        await _kill_group(process)
        raise RuntimeError(f"{Path(command[-1]).name} did not start: {last_words(log)}")
    return RunningProgram(process)


class RunningProgram(Scheduler):
    """A scheduler that is one process, or a group of them in a session of their own."""

    def __init__(self, process: Process) -> None:
        self._process = process

    def pids(self) -> list[int]:
        return group_of(self._process.pid)

    def alive(self) -> bool:
        return self._process.returncode is None

    async def kill(self) -> None:
        await _kill_group(self._process)


def group_of(leader: int) -> list[int]:
    """The processes of this session, the leader first."""
    members = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if os.getsid(int(entry.name)) == leader:
                    members.append(int(entry.name))
            except ProcessLookupError:
                continue  # it ended meanwhile
    return sorted(members, key=lambda pid: (pid != leader, pid))


def last_words(log: Path) -> str:
    """The end of a log, on one line."""
    text = log.read_bytes()[-_LOG_BYTES:].decode(errors="replace")
    return " / ".join(line.strip() for line in text.splitlines()[-4:]) or "it said nothing"


async def _spawn(command: Sequence[str], configuration: Mapping[str, Any], log: Path) -> Process:
    with log.open("ab") as errors:
        return await asyncio.create_subprocess_exec(
            *command,
            json.dumps(configuration),
            stdin=PIPE,  # closed when we are gone, however; a program ends then
            stdout=PIPE,
            stderr=errors,
            start_new_session=True,
        )


async def _kill_group(process: Process) -> None:
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):  # it ended by itself just now
            os.killpg(process.pid, signal.SIGKILL)
    await asyncio.wait_for(process.wait(), _READY_SECONDS)
