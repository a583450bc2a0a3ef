"""The event loop of a node: asyncio's own, with finer timers, and with turns that tell of their beginning."""

from __future__ import annotations

import asyncio
import select
import selectors
import sys
from collections.abc import Callable

#: ``select`` takes no descriptor from here on (FD_SETSIZE).
_DESCRIPTORS = 1024

if sys.platform == "linux":

    class PreciseSelector(selectors.EpollSelector):
        """Waits to the microsecond.

        ``epoll_wait`` counts in milliseconds, and Python rounds what is left up to them: timers
        would be late by half a millisecond in the mean. ``select`` counts in microseconds, and an
        epoll is itself a descriptor that can be waited for (epoll(7)).
        """

        def __init__(self) -> None:
            super().__init__()
            #: Called whenever the wait is over: a loop waits once in each turn, before all else.
            self.over: Callable[[], object] = _nothing

        def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
            if timeout is not None and timeout > 0 and self.fileno() < _DESCRIPTORS:
                ready, _, _ = select.select((self.fileno(),), (), (), timeout)
                if not ready:
                    self.over()
                    return []
                timeout = 0
            events = super().select(timeout)
            self.over()
            return events

    class PreciseEventLoop(asyncio.SelectorEventLoop):
        """Timers are late by about a tenth of a millisecond; a ``later_core.ports.turns.TurningLoop``."""

        def __init__(self) -> None:
            selector = PreciseSelector()
            super().__init__(selector)
            self.first_in_turn: list[Callable[[], object]] = []
            selector.over = self._begin_turn

        def _begin_turn(self) -> None:
            for call in self.first_in_turn:
                try:
                    call()
                except Exception as error:  # noqa: BLE001 - as asyncio does with whatever it calls
                    self.call_exception_handler(
                        {"message": "the beginning of a turn failed", "exception": error}
                    )

    def _nothing() -> None:
        pass

    def new_event_loop() -> asyncio.AbstractEventLoop:
        """A loop for a node."""
        return PreciseEventLoop()

else:
    new_event_loop = asyncio.new_event_loop
