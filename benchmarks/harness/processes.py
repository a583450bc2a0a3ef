"""CPU and memory of processes, from /proc."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def name_of(pid: int) -> str:
    """The name of the process; empty when there is none."""
    try:
        return Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return ""


def cpu_seconds(pid: int) -> float:
    """What the process has used so far, in user and system mode."""
    return parse_stat(Path(f"/proc/{pid}/stat").read_text(encoding="ascii"), _TICKS)


def parse_stat(stat: str, ticks: int) -> float:
    """CPU seconds of a line of /proc/PID/stat. The name in it may hold spaces and brackets."""
    fields = stat.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / ticks


def memory_mb(pid: int, what: str = "VmRSS") -> float:
    """Resident memory in MB (10^6 bytes); ``VmHWM`` for the most it ever was."""
    return parse_status(Path(f"/proc/{pid}/status").read_text(encoding="utf-8"), what)


def parse_status(status: str, what: str) -> float:
    """MB (10^6 bytes) of a field of /proc/PID/status, which is in kB (1024 bytes).

    Raises:
        ValueError: there is no such field; a process that has ended has none.

    """
    for line in status.splitlines():
        name, _, value = line.partition(":")
        if name == what:
            return int(value.split()[0]) * 1024 / 1e6
    raise ValueError(f"no {what}")


class Usage:
    """What was used while measured: seconds of wall clock, CPU seconds by name of process."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.cpu: dict[str, float] = {}

    def cores(self) -> dict[str, float]:
        """Cores kept busy, by name, as values of a row."""
        return {f"{name}_cores": round(used / self.seconds, 2) for name, used in self.cpu.items()}

    def micros_each(self, count: int) -> dict[str, float]:
        """Microseconds of CPU for each of so many, by name, as values of a row."""
        return {
            f"{name}_cpu_us_each": round(used / count * 1e6, 1) for name, used in self.cpu.items()
        }


@contextmanager
def using(pids: Mapping[str, int]) -> Iterator[Usage]:
    """Measure the block; the answer is complete at its end."""
    usage = Usage()
    before = {name: cpu_seconds(pid) for name, pid in pids.items()}
    began = time.perf_counter()
    yield usage
    usage.seconds = time.perf_counter() - began
    usage.cpu = {name: cpu_seconds(pid) - before[name] for name, pid in pids.items()}
