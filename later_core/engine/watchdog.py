"""Notices a task that blocks the event loop, and logs it by name."""

from __future__ import annotations

import asyncio
import sys
import threading
import traceback
from collections.abc import Callable
from typing import Any, Self

import structlog

from later_core.ports.clock import Clock

_log = structlog.get_logger(__name__)

_TICK = 0.05
_STACK_DEPTH = 6


class Watchdog:
    """A thread that watches the loop tick, since a blocked loop cannot watch itself.

    When one asyncio task has held the loop for ``threshold`` seconds without a tick, it logs which
    (``name_of`` says what a person calls it) and where its code stands; when the loop is free again,
    for how long it was not.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        threshold: float = 0.25,
        name_of: Callable[[asyncio.Task[Any]], str] = asyncio.Task.get_name,
    ) -> None:
        self._clock = clock
        self._name_of = name_of
        self._threshold = threshold
        self._ticked = clock.monotonic()
        self._longest = 0.0
        self._last = 0.0
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    async def __aenter__(self) -> Self:
        self._ticked = self._clock.monotonic()
        self._thread = threading.Thread(
            target=self._watch,
            args=(asyncio.get_running_loop(), threading.get_ident()),
            name="later-watchdog",
            daemon=True,
        )
        self._thread.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stopped.set()
        if self._thread is not None:
            self._thread.join(timeout=1.0)

    async def run(self) -> None:
        """Loop: tick."""
        while True:
            self._ticked = self._clock.monotonic()
            await self._clock.sleep(_TICK)
            self._last = self._late()
            self._longest = max(self._longest, self._last)

    def behind(self) -> float:
        """How late, in seconds, the loop comes to what is to be done: at the last tick, or by now."""
        return max(self._last, self._late())

    def take_longest(self) -> float:
        """The longest time, in seconds, for which the loop has been held up since this was last asked.

        A hold-up that lasts counts too: any thread may ask.
        """
        longest, self._longest = max(self._longest, self._late()), 0.0
        return longest

    def _late(self) -> float:
        """How long the next tick is overdue, in seconds."""
        return max(0.0, self._clock.monotonic() - self._ticked - _TICK)

    def _watch(self, loop: asyncio.AbstractEventLoop, thread: int) -> None:
        holder: asyncio.Task[Any] | None = None
        held_since = ticked = self._ticked
        reported = False
        while not self._stopped.wait(_TICK):
            now = self._clock.monotonic()
            current = asyncio.current_task(loop)
            # A loop that is merely busy is seen with another task, or a tick, at each look.
            if current is not holder or self._ticked != ticked:
                if reported:
                    self._tell_free(holder, now - held_since)
                holder, held_since, ticked, reported = current, now, self._ticked, False
            elif not reported and now - held_since >= self._threshold:
                reported = True
                _log.warning(
                    "event loop blocked",
                    by=self._name(holder),
                    blocked_seconds=round(now - held_since, 3),
                    at=_where(thread),
                )

    def _tell_free(self, holder: asyncio.Task[Any] | None, seconds: float) -> None:
        _log.warning(
            "event loop free again", blocked_seconds=round(seconds, 3), by=self._name(holder)
        )

    def _name(self, task: asyncio.Task[Any] | None) -> str:
        return "no task" if task is None else self._name_of(task)


def _where(thread: int) -> list[str]:
    """The innermost frames of the thread, innermost last."""
    frame = sys._current_frames().get(thread)  # noqa: SLF001 - the documented way to see a thread's stack
    if frame is None:
        return []
    frames = traceback.extract_stack(frame)[-_STACK_DEPTH:]
    return [f"{f.filename}:{f.lineno} {f.name}" for f in frames]
