"""Where a process spends its CPU: py-spy beside it for the length of a block, and what it saw."""

from __future__ import annotations

import asyncio
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

_RATE = 250
_WRITE_SECONDS = 30.0
_START_SECONDS = 10.0


@dataclass(slots=True)
class Samples:
    """Samples in all, by function (its own time; with what it calls), by library (own time)."""

    total: int = 0
    own: Counter[str] = field(default_factory=Counter)
    within: Counter[str] = field(default_factory=Counter)
    libraries: Counter[str] = field(default_factory=Counter)

    def top(self, count: int) -> list[str]:
        """The functions with the most time of their own, a line each."""
        return [
            f"{own / self.total:6.1%} own {self.within[name] / self.total:6.1%} in all  {name}"
            for name, own in self.own.most_common(count)
        ]

    def by_library(self) -> str:
        """Shares of the time by library, on one line."""
        shares = [(name, own / self.total) for name, own in self.libraries.most_common()]
        return ", ".join(f"{name} {share:.0%}" for name, share in shares if share >= 0.01)


def read(lines: Iterable[str]) -> Samples:
    """From collapsed stacks: ``frame;frame;frame count``, each frame ``function (file)``."""
    samples = Samples()
    for line in lines:
        stack, _, count = line.strip().rpartition(" ")
        frames = [_named(frame) for frame in stack.split(";") if "(" in frame]
        if not frames:
            continue
        times = int(count)
        samples.total += times
        samples.own[frames[-1]] += times
        samples.libraries[_library(frames[-1])] += times
        for frame in set(frames):
            samples.within[frame] += times
    return samples


def _library(name: str) -> str:
    first = name.split(" ", maxsplit=1)[0].partition("/")[0]
    return first.partition(".py")[0]


def _named(frame: str) -> str:
    """``library/file.py function``, wherever the library is installed."""
    function, _, place = frame.rpartition(" (")
    path = place.rstrip(")")
    if path.startswith("<"):  # made as it runs: a dataclass's __init__, frozen modules
        return f"python/{path} {function}"
    for mark in ("/site-packages/", "/lib/python"):
        if mark in path:
            path = path.rpartition(mark)[2]
            if mark == "/lib/python":
                path = "python/" + path.partition("/")[2]
            break
    else:
        if "/later_core/" in path:
            path = "later_core/" + path.rpartition("/later_core/")[2]
        elif "/benchmarks/" in path:
            path = "benchmarks/" + path.rpartition("/benchmarks/")[2]
    return f"{path} {function}"


@asynccontextmanager
async def sampling(pid: int, path: Path) -> AsyncIterator[Samples]:
    """Sample the process while the block runs; the answer is complete at its end.

    Raises:
        RuntimeError: py-spy may not look at it (root, or kernel.yama.ptrace_scope 0, is needed).

    """
    spy = Path(sys.executable).with_name("py-spy")
    process = await asyncio.create_subprocess_exec(
        *(spy, "record", "--pid", str(pid), "--rate", str(_RATE), "--format", "raw"),
        *("--full-filenames", "--function", "--nonblocking", "--output", path),
        stdin=DEVNULL,
        stdout=PIPE,
        stderr=DEVNULL,
    )
    samples = Samples()
    try:
        assert process.stdout is not None
        # It says that it samples once it does.
        said = await asyncio.wait_for(process.stdout.readline(), _START_SECONDS)
        if not said:
            raise RuntimeError(f"py-spy ended with {await process.wait()}: run it as root")
        yield samples
        process.send_signal(signal.SIGINT)
        await asyncio.wait_for(process.communicate(), _WRITE_SECONDS)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    seen = read(path.read_text(encoding="utf-8").splitlines())
    samples.total, samples.own = seen.total, seen.own
    samples.within, samples.libraries = seen.within, seen.libraries
