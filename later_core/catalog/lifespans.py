"""What plugins keep open while a server runs, each in an asyncio task of its own.

So that what fails in one, or is cancelled in it, ends neither the server nor another plugin.
"""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager
from typing import Any

import structlog

from later_core.catalog.entry_points import Candidate
from later_core.ports.clock import Clock

_log = structlog.get_logger(__name__)

#: How long a plugin may take to begin, and to end, in seconds.
PATIENCE = 10.0


class Lifespan:
    """One plugin's context manager, entered by ``begin`` and left by ``end``."""

    def __init__(
        self, candidate: Candidate, manager: AbstractAsyncContextManager[Any], clock: Clock
    ) -> None:
        self._candidate = candidate
        self._manager = manager
        self._clock = clock
        self._began = asyncio.Event()
        self._stop = asyncio.Event()
        self._ended = asyncio.Event()
        self._failure: BaseException | None = None
        self._task: asyncio.Task[None] | None = None

    async def begin(self, group: asyncio.TaskGroup) -> None:
        """Return once the plugin is ready.

        Raises:
            Exception: what it raised, or TimeoutError where it did not begin in time.

        """
        self._task = group.create_task(self._live(), name=f"lifespan of {self._candidate.name}")
        if not await self._clock.wait(self._began, PATIENCE):
            self._task.cancel()
            raise TimeoutError(f"not ready within {PATIENCE:g} s")
        if self._ended.is_set() and self._failure is not None:
            raise self._failure

    async def end(self) -> None:
        """Leave it, and return once it has ended, or has taken too long at that."""
        self._stop.set()
        if self._task is not None and not await self._clock.wait(self._ended, PATIENCE):
            self._task.cancel()
            _log.warning("plugin did not end", distribution=self._candidate.distribution)

    async def _live(self) -> None:
        try:
            async with self._manager:
                self._began.set()
                await self._stop.wait()
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a plugin raises
            self._failure = error
            if self._began.is_set():
                _log.exception("plugin failed", distribution=self._candidate.distribution)
        finally:
            self._ended.set()
            self._began.set()
