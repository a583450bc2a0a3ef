"""The file of starts, as ``benchmarks.peers.account`` reads it, for the programs of the peers.

``time.time`` is read first and the line written after, so that the writing is not part of the lateness.
"""

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

_file = -1


def open_starts(path: str) -> None:
    """From here on this process writes to that file."""
    global _file  # noqa: PLW0603 -- jobs are looked up by name and carry nothing but data
    _file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)


def started(index: int, planned_ms: int) -> None:
    """The first thing that a job does."""
    began = time.time()
    os.write(_file, f"s {index} {planned_ms / 1e3:.3f} {began:.6f}\n".encode())


def ended(index: int) -> None:
    """The peer says that the job has ended."""
    os.write(_file, f"d {index} {time.time():.6f}\n".encode())


def dues(jobs: dict[str, Any]) -> Iterator[tuple[int, int]]:
    """Index and time, in milliseconds since 1970, of each job to add."""
    apart = 1e3 / jobs["per_second"] if jobs["per_second"] else 0.0
    for at in range(jobs["count"]):
        yield jobs["first_index"] + at, int(jobs["due_ms"] + at * apart)


def configuration() -> dict[str, Any]:
    """What the caller wants, the last argument."""
    found: dict[str, Any] = json.loads(sys.argv[-1])
    return found


def answer(seconds: float) -> None:
    """How long the adding took."""
    print(json.dumps({"seconds": seconds}), flush=True)


def ready() -> None:
    """The scheduler runs."""
    print("ready", flush=True)


def end_with_caller() -> None:
    """End this process and those it made once the caller is gone, however it went."""

    def watch() -> None:
        while os.read(0, 1):
            pass
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()
