"""The tasks of the benchmarks: the only part that runs inside the server.

``bench-noop`` does nothing but remember in memory that it began; ``bench-dump`` writes what is
remembered to a file and forgets it. Nothing is written while something is measured.
"""

from __future__ import annotations

import json
import os
import time
from array import array
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from later_core import Context, PluginSetting, Task, hookimpl

NOOP = "bench-noop"
DUMP = "bench-dump"
SETTING = "bench_directory"


class Ledger:
    """Starts in columns: they weigh little, and the garbage collector need not look at them."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Begin anew."""
        self.ids: list[str] = []
        self.attempts = array("l")
        self.starts = array("q")
        self.dues: list[datetime] = []

    def write(self, path: Path) -> None:
        """Write all of it; the file appears whole or not at all."""
        unfinished = path.with_suffix(".part")
        with unfinished.open("w", encoding="utf-8") as file:
            json.dump(
                {
                    "ids": self.ids,
                    "attempts": self.attempts.tolist(),
                    "start_ns": self.starts.tolist(),
                    "due_ms": [round(due.timestamp() * 1000) for due in self.dues],
                },
                file,
            )
        unfinished.replace(path)


class Noop(Task):
    """Begins, and has ended."""

    name = NOOP

    def __init__(self, ledger: Ledger, directory: str) -> None:
        self._ledger = ledger
        self._first = Path(directory, f"first-{os.getpid()}") if directory else None

    async def run(self, context: Context) -> None:
        began = time.time_ns()
        instance = context.instance
        ledger = self._ledger
        ledger.ids.append(instance.id)
        ledger.attempts.append(instance.attempt)
        ledger.starts.append(began)
        ledger.dues.append(instance.execution_time)
        if self._first is not None:
            self._first.write_text(str(began), encoding="ascii")
            self._first = None


class Dump(Task):
    """Writes the ledger to the file in the directory that its parameters name."""

    name = DUMP

    def __init__(self, ledger: Ledger, directory: str) -> None:
        self._ledger = ledger
        self._directory = Path(directory)

    async def run(self, context: Context) -> None:
        self._ledger.write(self._directory / context.parameters.decode())
        self._ledger.forget()


@hookimpl
def later_settings() -> Iterable[PluginSetting]:
    """Where files are written."""
    return [PluginSetting(name=SETTING, default="", description="Directory of the ledger.")]


@hookimpl
def later_tasks(settings: Mapping[str, Any]) -> Iterable[Task]:
    """Both, with one ledger."""
    ledger, directory = Ledger(), settings[SETTING]
    return [Noop(ledger, directory), Dump(ledger, directory)]
