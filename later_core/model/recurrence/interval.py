"""Rules of absolute time: intervals, and instants one by one."""

from __future__ import annotations

from bisect import bisect_right
from datetime import datetime, timedelta

from later_core.errors import InvalidRequest
from later_core.model.instant import EARLIEST, LATEST, round_up
from later_core.model.limits import DURATION_MAX
from later_core.model.recurrence.rules import IntervalRule, TimesRule

EVERY_MIN = timedelta(seconds=1)
TIMES_MAX = 1000

_MILLISECOND = timedelta(milliseconds=1)


class IntervalTimes:
    """When an interval rule fires: the anchor, and each whole number of intervals after it."""

    def __init__(self, rule: IntervalRule) -> None:
        """Raises InvalidRequest about ``interval.every``."""
        if not EVERY_MIN <= rule.every <= DURATION_MAX or rule.every % _MILLISECOND:
            raise InvalidRequest.of(
                "interval.every",
                f"must be whole milliseconds from {EVERY_MIN.total_seconds():g} second"
                f" to {DURATION_MAX.days} days",
            )
        self._every = rule.every
        self._anchor = round_up(rule.anchor)

    def after(self, instant: datetime) -> datetime | None:
        """The first time strictly after the instant; None behind the last that can be scheduled."""
        if instant < self._anchor:
            return self._anchor
        found = self._anchor + ((instant - self._anchor) // self._every + 1) * self._every
        return found if found < LATEST else None


class Times:
    """When a rule of single instants fires: at each, once, rounded up to the millisecond."""

    def __init__(self, rule: TimesRule) -> None:
        """Raises InvalidRequest about ``times``."""
        if not 1 <= len(rule.times) <= TIMES_MAX:
            raise InvalidRequest.of(
                "times", f"must be 1 to {TIMES_MAX} instants; use several rules"
            )
        if not all(EARLIEST <= time < LATEST for time in rule.times):
            raise InvalidRequest.of("times", f"must lie from {EARLIEST.year} to {LATEST.year - 1}")
        self._times = sorted({round_up(time) for time in rule.times})

    def after(self, instant: datetime) -> datetime | None:
        """The first time strictly after the instant; None if there is none."""
        position = bisect_right(self._times, instant)
        return self._times[position] if position < len(self._times) else None
