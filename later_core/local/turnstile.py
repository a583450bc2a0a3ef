"""Few pieces of work in each turn of the event loop."""

from __future__ import annotations

import asyncio
from collections import deque

#: For so many who wait, one is let through: were it one in all, the last of a thousand would come too late.
_SHARE = 16


class Turnstile:
    """Lets one through in each turn of the event loop, or of many a sixteenth, in the order of their coming.

    Many who are woken at once, such as subscribers by the same news, would else all do their work in one
    turn, and what is due meanwhile would start only behind the last of them.
    """

    def __init__(self) -> None:
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._is_free = True

    async def enter(self) -> None:
        """Return in a turn of one's own; at once where nobody has entered in this turn."""
        loop = asyncio.get_running_loop()
        if self._is_free:
            self._is_free = False
            loop.call_soon(self._turn, loop)
            return
        waiter = loop.create_future()
        self._waiting.append(waiter)
        await waiter

    def _turn(self, loop: asyncio.AbstractEventLoop) -> None:
        left = max(1, len(self._waiting) // _SHARE)
        while self._waiting and left:
            waiter = self._waiting.popleft()
            if not waiter.done():  # else it was cancelled
                waiter.set_result(None)
                left -= 1
        self._is_free = not self._waiting and left > 0
        if not self._is_free:
            loop.call_soon(self._turn, loop)
