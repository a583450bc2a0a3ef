"""How late attempts began, as events tell: over the last minutes, and how it is spread."""

from __future__ import annotations

from bisect import bisect_left
from collections import OrderedDict, deque
from collections.abc import Sequence
from datetime import datetime, timedelta

from later_core.cli.board import lateness
from later_core.model.instance import Instance
from later_core.model.instant import to_millis

#: The upper ends of the histogram's steps; what is later than the last has a step of its own.
STEPS = tuple(timedelta(milliseconds=ms) for ms in (1, 2, 5, 10, 20, 50, 100, 1_000, 10_000))
#: So many starts make up the histogram.
_STARTS = 1_000
#: So many seconds make up the line.
_SECONDS = 120


class Punctuality:
    """The last starts; each attempt counts once, however often it is told of."""

    def __init__(self) -> None:
        self._counted: OrderedDict[tuple[str, int], None] = OrderedDict()
        self._latenesses: deque[timedelta] = deque(maxlen=_STARTS)
        self._worst: dict[int, timedelta] = {}

    def note(self, instance: Instance) -> None:
        """Count the attempt that this instance is in, or ended with, if its code has begun."""
        late = lateness(instance)
        is_told = instance.state.is_final or instance.state.value == "RUNNING"
        attempt = (instance.id, instance.attempt)
        if late is None or instance.start_time is None or not is_told or attempt in self._counted:
            return
        self._counted[attempt] = None
        if len(self._counted) > 2 * _STARTS:
            self._counted.popitem(last=False)
        self._latenesses.append(late)
        second = to_millis(instance.start_time) // 1000
        self._worst[second] = max(late, self._worst.get(second, timedelta(0)))
        if len(self._worst) > 2 * _SECONDS:
            del self._worst[min(self._worst)]

    def line(self, now: datetime) -> Sequence[float]:
        """The worst lateness of each of the last seconds up to ``now``, in milliseconds; 0: no start."""
        last = to_millis(now) // 1000
        seconds = range(last - _SECONDS + 1, last + 1)
        nothing = timedelta(0)
        return [self._worst.get(second, nothing) / timedelta(milliseconds=1) for second in seconds]

    @property
    def histogram(self) -> Sequence[int]:
        """How many of the last starts fall into each step, and, last, behind all of them."""
        counts = [0] * (len(STEPS) + 1)
        for late in self._latenesses:
            counts[bisect_left(STEPS, late)] += 1
        return counts

    @property
    def starts(self) -> int:
        """How many starts the histogram is about."""
        return len(self._latenesses)
