"""The tasks that chaos runs: each writes to the ledger at the very moment its code begins, and as
it succeeds.

Beside what makes their wall clocks wrong, this is the only part of the kit that runs inside the
servers. It uses nothing of Later but what any plugin is given, and the clock of the kernel, so that
the ledger is an account of its own.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Iterable, Mapping
from typing import Any

from later_core import Context, PluginSetting, Task, TaskError, hookimpl
from later_core.testing.chaos.true_clock import true_ns

SETTING = "chaos_ledger"


class Ledger:
    """A file that all nodes append to; a line is on the disk before the task goes on."""

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def note(self, what: str, context: Context, at: int) -> None:
        """One line: what, instance, attempt, process, nanoseconds since the Unix epoch, and how many
        nanoseconds the process's own wall clock shows too much.
        """
        wrong = time.time_ns() - true_ns()
        line = f"{what} {context.instance.id} {context.attempt} {os.getpid()} {at} {wrong}\n"
        os.write(self._file, line.encode())
        os.fsync(self._file)


class _Noting(Task):
    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def on_abort(self, context: Context) -> None:
        self._ledger.note("on_abort", context, true_ns())

    def _begin(self, context: Context) -> float:
        """Note the start; answers how many seconds the attempt is to take."""
        self._ledger.note("start", context, true_ns())
        return float(context.json()["seconds"])

    def _end(self, context: Context) -> str:
        if context.attempt <= context.json()["fails"]:
            raise TaskError("told to fail")
        self._ledger.note("end", context, true_ns())
        return "done"


class Noted(_Noting):
    """On the event loop."""

    name = "noted"

    async def run(self, context: Context) -> str:
        seconds = self._begin(context)
        await asyncio.sleep(seconds)  # noqa: TID251 -- a stranger's task knows no clock of ours
        return self._end(context)


class NotedInThread(_Noting):
    """In a thread."""

    name = "noted-in-thread"

    def run(self, context: Context) -> str:
        left = self._begin(context)
        pause = threading.Event()
        while left > 0 and not context.is_cancelled:
            pause.wait(min(left, 0.05))
            left -= 0.05
        return self._end(context)


@hookimpl
def later_settings() -> Iterable[PluginSetting]:
    """Where the ledger is."""
    return [PluginSetting(name=SETTING, default="", description="File to append starts to.")]


@hookimpl
def later_tasks(settings: Mapping[str, Any]) -> Iterable[Task]:
    """Both kinds of task."""
    ledger = Ledger(settings[SETTING])
    return [Noted(ledger), NotedInThread(ledger)]
