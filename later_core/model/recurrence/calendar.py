"""Recurrence rules of RFC 5545: dateutil's arithmetic, from any time on and in bounded time.

dateutil counts from the beginning, so that the next time of a rule that began years ago takes long,
and it looks for a date that never comes until the year 9999. Two moves help:

- A rule is begun anew a whole number of periods later (``_begin``), near the time asked about.
- The Gregorian calendar repeats itself every 400 years, weekdays included. The search is moved by a
  multiple of 400 years to a place 400 to 800 years before 9999, where dateutil ends it.

Frequencies of a day and finer are searched in two steps, first the day and then the time, since days
that do not fit are many.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, time, timedelta
from functools import lru_cache
from itertools import islice

from dateutil.rrule import rrule

from later_core.model.recurrence import rrule_text
from later_core.model.recurrence.rrule_text import RuleText
from later_core.model.recurrence.rules import CalendarRule
from later_core.model.recurrence.wall import next_of_fixed, next_of_running, to_instant, to_wall
from later_core.model.recurrence.zones import time_zone, zone_names

_CYCLE_YEARS = 400
_CYCLE = timedelta(days=146_097)
#: Searches begin in the last cycle but one of the years that a datetime can hold.
_FRAME_YEAR = 9999 - 2 * _CYCLE_YEARS + 1
_SECOND = timedelta(seconds=1)
#: How many fitting days may lack a fitting time before the search is given up.
_DAYS_MAX = 2000
_UNITS = {
    "WEEKLY": timedelta(weeks=1),
    "DAILY": timedelta(days=1),
    "HOURLY": timedelta(hours=1),
    "MINUTELY": timedelta(minutes=1),
    "SECONDLY": timedelta(seconds=1),
}
_DAY_PARTS = ("BYMONTH", "BYMONTHDAY", "BYDAY", "BYYEARDAY", "BYSETPOS")


def default_dtstart(zone: str) -> datetime:
    """Where a rule counts from for which nobody says so: midnight of 2001-01-01 in the time zone, UTC
    where there is no such zone.

    It is a Monday, and the first day of a month and of a year: the day on which people expect a rule
    to repeat that names none. It is the same whenever it is asked for, so that a repeated create is
    recognized.
    """
    known = zone if zone in zone_names() else "UTC"
    return to_instant(datetime(2001, 1, 1), time_zone(known))  # noqa: DTZ001 - a wall time


class CalendarTimes:
    """When a calendar rule fires."""

    def __init__(self, rule: CalendarRule, default_zone: str) -> None:
        """Raises InvalidRequest about ``calendar.rrule`` or ``calendar.time_zone``."""
        self._zone = time_zone(rule.time_zone or default_zone, "calendar.time_zone")
        walls = _walls(rule.rrule, to_wall(rule.dtstart, self._zone).replace(microsecond=0))
        self._walls = walls
        self._next = next_of_running if walls.is_running else next_of_fixed
        if walls.until is not None and walls.until < rule.dtstart:
            raise rrule_text.ends_before_it_begins()

    def after(self, instant: datetime) -> datetime | None:
        """The first time strictly after the instant; None if there is none within 400 years."""
        found = self._next(self._walls.after, self._zone, instant)
        until = self._walls.until
        return found if found is None or until is None or found <= until else None


class _CalendarWalls:
    """The wall times of a rule from a wall time on."""

    def __init__(self, text: RuleText, dtstart: datetime) -> None:
        self.until = text.until
        self._frequency = text.parts["FREQ"]
        self._interval = int(text.parts.get("INTERVAL", "1"))
        self._dtstart = dtstart
        self._last: datetime | None = None
        self._rule = rrule_text.parse(text.without("UNTIL", "COUNT"), dtstart)
        self.is_running = text.is_finer_than_daily
        self._days: rrule | None = None
        self._search: Callable[[datetime], datetime | None] = self._next
        if self._frequency in {"MONTHLY", "YEARLY"} and not text.chooses_days:
            # dateutil takes these from dtstart, which is another day once the rule is begun anew.
            self._rule = self._rule.replace(bymonthday=dtstart.day)
            if self._frequency == "YEARLY" and "BYMONTH" not in text.parts:
                self._rule = self._rule.replace(bymonth=dtstart.month)
        elif self._frequency not in {"MONTHLY", "YEARLY", "WEEKLY"} and any(
            part in text.parts for part in _DAY_PARTS[:-1]
        ):
            self._days = self._rule_of_days(text)
            self._rule = rrule_text.parse(text.without("UNTIL", "COUNT", *_DAY_PARTS), dtstart)
            self._search = self._next_in_days
        if text.count is not None:
            self._last = self._nth(text.count)

    def after(self, wall: datetime) -> datetime | None:
        """The first wall time of the rule strictly after the given one."""
        try:
            found = self._search(max(wall, self._dtstart - _SECOND))
        except ValueError:
            # dateutil, on the way: a combination of interval, hours and minutes that is never met.
            return None
        return found if found is None or self._last is None or found <= self._last else None

    def _next(self, wall: datetime) -> datetime | None:
        begin = self._begin(wall)
        shift = _shift(wall)
        found = self._rule.replace(dtstart=begin + shift).after(wall + shift)
        return found - shift if found is not None else None

    def _begin(self, wall: datetime) -> datetime:
        """A wall time from which the rule names the same ones after ``wall`` as from its dtstart.

        It lies in an earlier period than ``wall``, since dateutil cuts off the beginning of the first.
        """
        start = self._dtstart
        if unit := _UNITS.get(self._frequency):
            period = unit * self._interval
            return start + max(0, (wall - start) // period - 1) * period
        months = self._interval * (12 if self._frequency == "YEARLY" else 1)
        passed = (wall.year - start.year) * 12 + wall.month - start.month
        periods = passed // months - 1
        if periods <= 0:
            return start
        years, month = divmod(start.year * 12 + start.month - 1 + periods * months, 12)
        return start.replace(
            year=years, month=1 if self._frequency == "YEARLY" else month + 1, day=1
        )

    def _next_in_days(self, wall: datetime) -> datetime | None:
        for _ in range(_DAYS_MAX):
            day = self._day(wall)
            if day is None:
                return None
            found = self._next(max(wall, day - _SECOND))
            if found is None or found.date() == day.date():
                return found
            wall = found - _SECOND
        return None

    def _day(self, wall: datetime) -> datetime | None:
        """Midnight at the beginning of the first day of the rule on which anything after ``wall`` is."""
        midnight = datetime.combine(wall + _SECOND, time())
        shift = _shift(wall)
        begin = (midnight + shift).replace(month=1, day=1)
        assert self._days is not None
        found = self._days.replace(dtstart=begin).after(midnight + shift, inc=True)
        return found - shift if found is not None else None

    def _rule_of_days(self, text: RuleText) -> rrule:
        days = {name: text.parts[name] for name in _DAY_PARTS[:-1] if name in text.parts}
        if days.keys() == {"BYMONTH"}:
            days["BYMONTHDAY"] = ",".join(str(day) for day in range(1, 32))
        body = ";".join(["FREQ=YEARLY", *(f"{name}={value}" for name, value in days.items())])
        return rrule_text.parse(body, datetime.combine(self._dtstart, time()))

    def _nth(self, count: int) -> datetime:
        found = self._dtstart - _SECOND
        if self._days is None:
            shift = _shift(found)
            *_, last = (
                found + shift,
                *islice(self._rule.replace(dtstart=self._dtstart + shift), count),
            )
            return last - shift
        for _ in range(count):
            following = self._next_in_days(found)
            if following is None:
                break
            found = following
        return found


def _shift(wall: datetime) -> timedelta:
    """How far to move a search that begins here, so that it ends 400 to 800 years later."""
    return max(0, (_FRAME_YEAR - wall.year + _CYCLE_YEARS - 1) // _CYCLE_YEARS) * _CYCLE


@lru_cache(maxsize=4096)
def _walls(text: str, dtstart: datetime) -> _CalendarWalls:
    walls = _CalendarWalls(rrule_text.read(text), dtstart)
    if walls.after(dtstart - _SECOND) is None:
        raise rrule_text.never_fires()
    return walls
