"""The rules of a schedule, as values: what people write, not yet when it fires.

A rule is one of four; ``recurrence.combine`` makes times of them. Where a rule has no ``time_zone`` of
its own, that of its schedule holds.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from later_core.model.instant import EPOCH


@dataclass(frozen=True, slots=True, kw_only=True)
class CronRule:
    """A cron expression: five fields as in Debian's crontab(5), six with seconds in front, or ``@daily``
    and the like. ``L``, ``LW``, ``15W``, ``5L`` and ``MON#2`` are understood too.
    """

    expression: str
    time_zone: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class IntervalRule:
    """``anchor``, and then again after each ``every`` of elapsed time; never before the anchor.

    No time zone changes it: an hour is 3600 seconds on every day of the year.
    """

    every: timedelta
    anchor: datetime = EPOCH


@dataclass(frozen=True, slots=True, kw_only=True)
class CalendarRule:
    """A recurrence rule of RFC 5545, such as ``FREQ=MONTHLY;BYDAY=-1FR``, counted from ``dtstart``.

    ``dtstart`` is an instant; its wall time in the time zone is what the rule repeats.
    """

    rrule: str
    dtstart: datetime
    time_zone: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TimesRule:
    """These instants and no others, in any order."""

    times: tuple[datetime, ...]


Rule = CronRule | IntervalRule | CalendarRule | TimesRule


@dataclass(frozen=True, slots=True, kw_only=True)
class ExcludedDates:
    """Whole days, from midnight to midnight in the time zone, on which nothing fires."""

    dates: tuple[date, ...]
    time_zone: str | None = None


#: A rule among the exclusions takes out exactly the instants that it names.
Exclusion = Rule | ExcludedDates
