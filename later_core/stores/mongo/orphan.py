"""Stop a mongod that a killed server left behind.

On Linux the launcher sees to it that none stays for long; elsewhere, or while one still shuts down,
the next start finds it here. Nothing of it is adopted: a fresh start is the only state to reason
about.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import structlog

from later_core.errors import DataDirectoryInUse
from later_core.ports.clock import Clock
from later_core.stores.mongo.directory import DataDirectory

_log = structlog.get_logger(__name__)

_TERMINATE_SECONDS = 30.0
_KILL_SECONDS = 10.0
_POLL_SECONDS = 0.05


async def stop_orphan(directory: DataDirectory, clock: Clock) -> None:
    """Return once no mongod runs on the directory, which the caller has locked.

    Raises:
        DataDirectoryInUse: one does, and it cannot be stopped.

    """
    for number, seconds in ((signal.SIGTERM, _TERMINATE_SECONDS), (signal.SIGKILL, _KILL_SECONDS)):
        for pid in _mongods_of(directory.database):
            _log.warning("stopping an orphan mongod", pid=pid, signal=number.name)
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, number)
        if await _gone(directory.database, clock, seconds):
            return
    raise DataDirectoryInUse(str(directory.path), next(iter(_mongods_of(directory.database)), None))


async def _gone(database: Path, clock: Clock, seconds: float) -> bool:
    # It is not our child, so its end can be asked for but not awaited.
    deadline = clock.monotonic() + seconds
    while _mongods_of(database):
        if clock.monotonic() >= deadline:
            return False
        await clock.sleep(_POLL_SECONDS)
    return True


def _mongods_of(database: Path) -> list[int]:
    """The processes that were started on this database, zombies left out.

    Asked of the system and not of mongod.lock, which names nobody in the first second of a run,
    and a process id of long ago after a crash.
    """
    wanted = f"--dbpath={database}"
    return [pid for pid, arguments in _processes() if wanted in arguments]


def _processes() -> Iterator[tuple[int, list[str]]]:
    if Path("/proc/self/cmdline").exists():
        for entry in Path("/proc").iterdir():
            if entry.name.isdecimal():
                # It may have ended since; a zombie has an empty command line.
                with contextlib.suppress(OSError):
                    yield int(entry.name), os.fsdecode((entry / "cmdline").read_bytes()).split("\0")
        return
    command = ["ps", "-axww", "-o", "pid=,args="]
    listing = subprocess.run(command, capture_output=True, text=True, check=False, timeout=5)
    for line in listing.stdout.splitlines():
        pid, _, arguments = line.strip().partition(" ")
        yield int(pid), arguments.split()
