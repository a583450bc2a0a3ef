"""Loop: write the start time of attempts that run long, while they run."""

from __future__ import annotations

from collections.abc import Mapping

from later_core.local.lease import Lease
from later_core.model.instant import from_millis
from later_core.ports.clock import Clock
from later_core.ports.store import Store

#: An attempt shorter than this has its start time written with its end alone, in seconds.
LONG_RUN = 1.0


class Recorder:
    """Most attempts are short, and their start time travels with their end. For those that last,
    people who look want to see that the code has begun: written once, in one batch a second."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        lease: Lease,
        began: Mapping[tuple[str, int], float],
    ) -> None:
        self._store = store
        self._clock = clock
        self._lease = lease
        self._began = began
        self._written: set[tuple[str, int]] = set()

    async def run(self) -> None:
        """Record for ever.

        Raises:
            StoreUnavailable: run again; nothing is written twice.
        """
        seen: set[tuple[str, int]] = set()
        while True:
            await self._clock.sleep(LONG_RUN)
            running = dict(self._began)
            self._written &= running.keys()
            # What ran at the last look too has run for that long at least.
            starts = {
                key: from_millis(int(running[key]))
                for key in sorted(seen & running.keys() - self._written)
            }
            seen = set(running)
            if starts:
                await self._store.started(starts, node=self._lease.node)
                self._written |= starts.keys()
