"""How late this node starts what is due: the last starts, and their quantiles."""

from __future__ import annotations

from collections import deque
from datetime import timedelta

from later_core.model.stats import Lateness

_REMEMBERED = 10_000


class LatenessRecord:
    """The lateness of the last 10,000 starts."""

    def __init__(self) -> None:
        self._seconds: deque[float] = deque(maxlen=_REMEMBERED)

    def add(self, seconds: float) -> None:
        """Note one start, so many seconds after its execution time."""
        self._seconds.append(seconds)

    def summary(self) -> Lateness:
        """The quantiles, by nearest rank; zeros when nothing has started yet."""
        ordered = sorted(self._seconds)
        if not ordered:
            zero = timedelta()
            return Lateness(count=0, p50=zero, p99=zero, max=zero)
        last = len(ordered) - 1
        return Lateness(
            count=len(ordered),
            p50=timedelta(seconds=ordered[round(last * 0.50)]),
            p99=timedelta(seconds=ordered[round(last * 0.99)]),
            max=timedelta(seconds=ordered[last]),
        )
