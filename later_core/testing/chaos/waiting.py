"""Wait for a condition of something outside this process, with a deadline."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from later_core.ports.clock import Clock, SystemClock

CLOCK: Clock = SystemClock()


async def until(what: str, holds: Callable[[], Awaitable[bool]], seconds: float) -> None:
    """Ask again and again until it holds.

    Raises:
        TimeoutError: it did not within so many seconds; says what was waited for.

    """
    give_up = CLOCK.monotonic() + seconds
    while not await holds():
        if CLOCK.monotonic() >= give_up:
            raise TimeoutError(f"after {seconds:g} s not yet: {what}")
        await CLOCK.sleep(0.1)
