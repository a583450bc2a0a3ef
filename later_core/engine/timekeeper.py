"""Loop: while something is soon due, read the database's clock often, so that it starts on time."""

from __future__ import annotations

import structlog

from later_core.errors import StoreUnavailable
from later_core.local.database_clock import DatabaseClock
from later_core.local.window import Window
from later_core.ports.clock import Clock
from later_core.ports.store import Store

_log = structlog.get_logger(__name__)

#: Between two readings, in seconds. What is known of the clock falls behind by 50 microseconds a second, and
#: of many answers one was quick and told just after the clock had moved on, which counts in milliseconds.
_PAUSE = 0.04
#: Work that is due later than this, in milliseconds, needs no better clock yet.
_SOON_MS = 1_000


class Timekeeper:
    """The heartbeat reads the clock too, once a second, for everything that can wait."""

    def __init__(
        self, *, store: Store, window: Window, clock: Clock, database_clock: DatabaseClock
    ) -> None:
        self._store = store
        self._window = window
        self._clock = clock
        self._database_clock = database_clock

    async def run(self) -> None:
        """Read for ever."""
        while True:
            await self._clock.sleep(_PAUSE)
            if not self._database_clock.is_shared and self._is_near():
                await self._read()

    def _is_near(self) -> bool:
        due_ms = self._window.next_due()
        return due_ms is not None and due_ms <= self._database_clock.now_ms() + _SOON_MS

    async def _read(self) -> None:
        try:
            self._database_clock.observe(await self._store.now())
        except StoreUnavailable as error:
            # The heartbeat tells it to the others, and to the health check.
            _log.debug("clock not read", detail=error.detail)
