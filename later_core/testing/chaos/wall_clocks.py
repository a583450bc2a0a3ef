"""Wall clocks that are wrong, each node's in its own way, and can be set while the node runs.

Later reads time that decides anything from MongoDB, so a wrong clock must change nothing. The clock
of the machine stays as it is: what is wrong is what the processes are told, and not their monotonic
clock. There are two ways:

- libfaketime, where it is installed (``pip install libfaketime``): whoever in the process asks the
  C library, gRPC and all others in C too;
- else ``wrong_clock.py``: whatever Python code asks.

A way is tried before it is used: libfaketime 0.9.10, for one, breaks ``time.sleep``.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
from asyncio.subprocess import PIPE
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

from later_core.testing.chaos import wrong_clock

#: Within so many seconds a process sees that its clock was set.
SEEN_SECONDS = 1.1

_TRIAL_SECONDS = 17.0
#: Some of them tell whole seconds.
_TOLERANCE_SECONDS = 1.5
_TRIAL = """
import datetime, json, time
from later_core.testing.chaos.true_clock import true_ns
begun = time.monotonic()
time.sleep(0.05)
true = true_ns() / 1e9
utc = datetime.timezone.utc
print(json.dumps([
    time.time() - true,
    time.time_ns() / 1e9 - true,
    time.clock_gettime(time.CLOCK_REALTIME) - true,
    datetime.datetime.now(utc).timestamp() - true,
    datetime.datetime.utcnow().replace(tzinfo=utc).timestamp() - true,
    datetime.datetime.today().timestamp() - true,
    time.mktime(time.localtime()) - true,
    time.monotonic() - begun,
]))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One way to make the clock wrong of the processes that are given this environment.

    ``variable`` names the file with the number of seconds; ``python_path`` belongs into PYTHONPATH.
    ``leavings``: patterns of what a process that is killed leaves behind, by its id.
    """

    name: str
    variable: str
    environment: Mapping[str, str] = field(default_factory=dict)
    python_path: str = ""
    leavings: Sequence[str] = ()

    def clean_up(self, pids: Iterable[int]) -> None:
        """Remove what these processes, which have ended, left behind."""
        for pid in pids:
            for leaving in self.leavings:
                Path(leaving.format(pid)).unlink(missing_ok=True)


class WallClock:
    """One node's wall clock, in all its lives."""

    def __init__(self, way: Way, file: Path, *, wrong_seconds: float) -> None:
        self._file = file
        self.environment = {**way.environment, way.variable: str(file)}
        self.set(wrong_seconds)

    def set(self, wrong_seconds: float) -> None:
        """From now on it shows so much too much; seen within ``SEEN_SECONDS``."""
        new = self._file.with_suffix(".new")
        new.write_text(f"{wrong_seconds:+.3f}\n", encoding="ascii")
        new.replace(self._file)


async def find_way(directory: Path, *, python_path: str = "") -> Way:
    """The best way that works on this machine; ``directory`` is for what it needs.

    Raises:
        RuntimeError: none works.

    """
    refused = []
    for way in ways(directory):
        trouble = await trouble_with(way, directory / "trial", python_path=python_path)
        if not trouble:
            return way
        refused.append(f"{way.name}: {trouble}")
    raise RuntimeError("no way to make a wall clock wrong:\n" + "\n".join(refused))


def ways(directory: Path) -> Sequence[Way]:
    """The ways that there are here, whether they work or not, the best one first."""
    return [*(_preloaded(library) for library in _libraries()), _patched(directory)]


async def trouble_with(way: Way, file: Path, *, python_path: str = "") -> str:
    """Start a process whose clock is wrong, and look at what it sees; what is amiss, in words."""
    clock = WallClock(way, file, wrong_seconds=_TRIAL_SECONDS)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "ignore", "-c", _TRIAL),
        env={
            **clock.environment,
            "PYTHONPATH": os.pathsep.join(filter(None, [way.python_path, python_path])),
        },
        stdout=PIPE,
        stderr=PIPE,
    )
    out, err = await process.communicate()
    way.clean_up([process.pid])
    if process.returncode or err:
        return err.decode(errors="replace") or f"exit code {process.returncode}"
    *shown, passed = json.loads(out)
    if any(abs(one - _TRIAL_SECONDS) > _TOLERANCE_SECONDS for one in shown):
        return f"it shows {shown} s too much instead of {_TRIAL_SECONDS:g}"
    return "" if passed < _TOLERANCE_SECONDS else f"the monotonic clock went on by {passed} s"


def _preloaded(library: Path) -> Way:
    return Way(
        name="libfaketime",
        variable="FAKETIME_TIMESTAMP_FILE",
        environment={
            "LD_PRELOAD": str(library),
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_CACHE_DURATION": "1",
            "NO_FAKE_STAT": "1",
        },
        leavings=["/dev/shm/faketime_shm_{}", "/dev/shm/sem.faketime_sem_{}"],  # noqa: S108 -- its places
    )


def _patched(directory: Path) -> Way:
    directory.mkdir(parents=True, exist_ok=True)
    shutil.copy(wrong_clock.__file__, directory / "sitecustomize.py")
    return Way(name="in Python", variable=wrong_clock.FILE, python_path=str(directory))


def _libraries() -> Iterable[Path]:
    try:
        files = metadata.files("libfaketime") or []
    except metadata.PackageNotFoundError:
        return []
    return [Path(str(file.locate())) for file in files if file.name == "libfaketime.so.1"]
