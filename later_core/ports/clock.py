"""Time, asked for rather than taken: the only file that reads the wall clock or sleeps."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """What the engine and the services know of time. ``FakeClock`` of the test kit is another one."""

    def now(self) -> datetime:
        """This machine's wall clock, UTC. May step; decides nothing about leases."""
        ...

    def monotonic(self) -> float:
        """Seconds since an arbitrary moment; never steps back."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return after at least this long (as far as the timers of the platform keep it)."""
        ...

    async def wait(self, event: asyncio.Event, seconds: float | None) -> bool:
        """Return True once the event is set, or False after this many seconds (None: never)."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def wait(self, event: asyncio.Event, seconds: float | None) -> bool:
        if event.is_set():
            return True
        try:
            async with asyncio.timeout(seconds):
                await event.wait()
        except TimeoutError:
            return event.is_set()
        return True
