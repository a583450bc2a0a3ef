"""Wait for a condition with a deadline; nothing here waits for ever."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime


async def until(
    what: str, holds: Callable[[], Awaitable[bool]], *, seconds: float, every: float = 0.05
) -> None:
    """Ask again and again until it holds.

    Raises:
        TimeoutError: it did not within so many seconds; says what was waited for.

    """
    give_up = time.monotonic() + seconds
    while not await holds():
        if time.monotonic() >= give_up:
            raise TimeoutError(f"after {seconds:g} s not yet: {what}")
        await asyncio.sleep(every)


async def until_instant(instant: datetime) -> None:
    """Return at that moment, or at once when it has passed."""
    await asyncio.sleep(max(0.0, (instant - datetime.now(UTC)).total_seconds()))
