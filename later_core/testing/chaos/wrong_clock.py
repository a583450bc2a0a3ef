"""Makes the wall clock wrong that Python code of this process sees; imported at its start.

The run copies this file, as ``sitecustomize``, to where the servers find it. It reads how wrong the
clock is to be from a file, once a second: a number of seconds. What libraries in C ask for
themselves stays as it is.
"""

from __future__ import annotations

import ctypes
import gc
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Any

#: The variable that names the file.
FILE = "CHAOS_WALL_CLOCK"

_READ_EVERY_SECONDS = 1.0


class _Wrong:
    """How wrong the clock is to be."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._ns = 0
        self._read_at = float("-inf")

    def ns(self) -> int:
        moment = time.perf_counter()
        if moment >= self._read_at + _READ_EVERY_SECONDS:
            self._ns = int(float(self._file.read_text(encoding="ascii")) * 1e9)
            self._read_at = moment
        return self._ns


def install(file: Path) -> None:
    """From here on, every way in which Python code asks for the wall clock answers wrongly."""
    wrong = _Wrong(file)
    true_time_ns, true_gettime_ns = time.time_ns, time.clock_gettime_ns

    def time_ns() -> int:
        return true_time_ns() + wrong.ns()

    def seconds() -> float:
        return time_ns() / 1e9

    def clock_gettime_ns(clock: int) -> int:
        shown = true_gettime_ns(clock)
        return shown + wrong.ns() if clock == time.CLOCK_REALTIME else shown

    def now(cls: type[datetime], tz: tzinfo | None = None) -> datetime:
        return cls.fromtimestamp(seconds(), tz)

    def utcnow(cls: type[datetime]) -> datetime:
        return now(cls, UTC).replace(tzinfo=None)

    replaced: dict[str, Callable[..., Any]] = {
        "time": seconds,
        "time_ns": time_ns,
        "clock_gettime_ns": clock_gettime_ns,
        "clock_gettime": lambda clock: clock_gettime_ns(clock) / 1e9,
        "gmtime": _by_default(time.gmtime, seconds),
        "localtime": _by_default(time.localtime, seconds),
        "ctime": _by_default(time.ctime, seconds),
    }
    for name, function in replaced.items():
        setattr(time, name, function)
    # today() asks time.time(). A type of C cannot be given new methods but by its own dict; another
    # type in its place would not be that of the values that C code makes.
    (methods,) = gc.get_referents(vars(datetime))
    methods.update(now=classmethod(now), utcnow=classmethod(utcnow))
    ctypes.pythonapi.PyType_Modified(ctypes.py_object(datetime))


def _by_default(function: Callable[..., Any], seconds: Callable[[], float]) -> Callable[..., Any]:
    def asked(moment: float | None = None) -> Any:
        return function(seconds() if moment is None else moment)

    return asked


if __name__ == "sitecustomize":
    install(Path(os.environ[FILE]))  # noqa: TID251 -- no setting of Later's
