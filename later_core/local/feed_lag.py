"""How far this node is behind the store's history, in what it follows: one record for each feed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from later_core.local.database_clock import DatabaseClock
from later_core.ports.clock import Clock

#: The store tells about once a second that there is nothing to tell; silence beyond this is lag.
_QUIET_SECONDS = 2.0


class FeedLag:
    """Told of each batch by whoever follows the feed; asked by whoever watches the node, from any thread."""

    def __init__(self, *, clock: Clock, database_clock: DatabaseClock) -> None:
        self._clock = clock
        self._database_clock = database_clock
        #: (monotonic moment of the last batch, seconds that it was behind), None while nobody follows.
        self._last: tuple[float, float] | None = None

    def took(self, event_time: datetime | None) -> None:
        """A batch has been taken whose last event is of that time (None: there was nothing to tell)."""
        behind = 0.0
        if event_time is not None and self._database_clock.is_set:
            behind = (self._database_clock.now() - event_time).total_seconds()
        self._last = self._clock.monotonic(), max(0.0, behind)

    def paused(self) -> None:
        """Nobody listens any more."""
        self._last = None

    def seconds(self) -> float | None:
        """How far behind it is now, None while nobody follows."""
        last = self._last
        if last is None:
            return None
        moment, behind = last
        silent = self._clock.monotonic() - moment - _QUIET_SECONDS
        return behind + max(0.0, silent)


def feed_lags(clock: Clock, database_clock: DatabaseClock) -> Mapping[str, FeedLag]:
    """A record for each feed that a node reads, by what the metric calls it."""
    return {
        feed: FeedLag(clock=clock, database_clock=database_clock) for feed in ("watches", "news")
    }
