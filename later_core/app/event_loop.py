"""The event loop of a node: asyncio's own, with timers finer than a millisecond."""

from __future__ import annotations

import asyncio
import select
import selectors
import sys

#: ``select`` takes no descriptor from here on (FD_SETSIZE).
_DESCRIPTORS = 1024

if sys.platform == "linux":

    class PreciseSelector(selectors.EpollSelector):
        """Waits to the microsecond.

        ``epoll_wait`` counts in milliseconds, and Python rounds what is left up to them: timers
        would be late by half a millisecond in the mean. ``select`` counts in microseconds, and an
        epoll is itself a descriptor that can be waited for (epoll(7)).
        """

        def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
            if timeout is not None and timeout > 0 and self.fileno() < _DESCRIPTORS:
                ready, _, _ = select.select((self.fileno(),), (), (), timeout)
                if not ready:
                    return []
                timeout = 0
            return super().select(timeout)

    def new_event_loop() -> asyncio.AbstractEventLoop:
        """A loop whose timers are late by about a tenth of a millisecond."""
        return asyncio.SelectorEventLoop(PreciseSelector())

else:
    new_event_loop = asyncio.new_event_loop
