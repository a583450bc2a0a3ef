"""All rules of a schedule together, less what is excluded: when it fires."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from itertools import islice
from typing import Protocol, assert_never

from later_core.errors import FieldViolation, InvalidRequest
from later_core.model.instant import EARLIEST, LATEST, from_millis, round_up, to_millis
from later_core.model.recurrence.calendar import CalendarTimes
from later_core.model.recurrence.cron import CronTimes
from later_core.model.recurrence.interval import IntervalTimes, Times
from later_core.model.recurrence.rules import (
    CalendarRule,
    CronRule,
    ExcludedDates,
    Exclusion,
    IntervalRule,
    Rule,
    TimesRule,
)
from later_core.model.recurrence.wall import to_instant, to_wall
from later_core.model.recurrence.zones import time_zone

RULES_MAX = 32
DATES_MAX = 1000
#: So many times in a row may be excluded before a search is given up: more than there are minutes in
#: a month, so that a rule of minutes may rest for any month.
EXCLUDED_IN_A_ROW_MAX = 50_000

_MILLISECOND = timedelta(milliseconds=1)
_DAY = timedelta(days=1)


class RuleTimes(Protocol):
    """When one rule fires."""

    def after(self, instant: datetime) -> datetime | None:
        """The first time strictly after the instant, in UTC and whole milliseconds; None: no more."""


class Recurrence:
    """The nominal times of a schedule: in UTC, whole milliseconds, strictly increasing.

    They are those of any rule, from ``start_time`` on and before ``end_time``, less the exclusions. A
    time that several rules name is there once. Nothing is kept between two questions: the answers
    depend on the question alone, and any two nodes agree.
    """

    def __init__(
        self,
        rules: Sequence[Rule],
        exclusions: Sequence[Exclusion] = (),
        *,
        zone: str = "UTC",
        start_time: datetime | None = None,
        end_time: datetime | None = None,
    ) -> None:
        """Raises InvalidRequest with every field that is wrong and its remedy."""
        faults: list[FieldViolation] = []
        if not 1 <= len(rules) <= RULES_MAX:
            faults.append(FieldViolation("rules", f"must be 1 to {RULES_MAX}"))
        if len(exclusions) > RULES_MAX:
            faults.append(FieldViolation("exclusions", f"must be at most {RULES_MAX}"))
        with _gathering(faults, ""):
            time_zone(zone)
        default = "UTC" if faults else zone
        self._rules: list[RuleTimes] = []
        self._excluded_rules: list[RuleTimes] = []
        self._excluded_dates: list[_Dates] = []
        for index, rule in enumerate(rules[:RULES_MAX]):
            with _gathering(faults, f"rules[{index}]."):
                self._rules.append(_times(rule, default))
        for index, exclusion in enumerate(exclusions[:RULES_MAX]):
            with _gathering(faults, f"exclusions[{index}]."):
                self._exclude(exclusion, default)
        self._start = max(round_up(start_time), EARLIEST) if start_time else EARLIEST
        self._end = min(end_time, LATEST) if end_time else LATEST
        if self._start >= self._end:
            faults.append(FieldViolation("end_time", "must be after start_time"))
        if faults:
            raise InvalidRequest(faults)

    def next_after(self, instant: datetime) -> datetime | None:
        """The first nominal time strictly after the instant.

        None: there is none, or none within 50 years (400 for calendar rules), or the next 50,000 are
        all excluded.
        """
        candidates = self.candidates(from_millis(to_millis(instant) + 1), LATEST)
        looked_at = islice(candidates, EXCLUDED_IN_A_ROW_MAX)
        return next((time for time, fires in looked_at if fires), None)

    def between(self, start: datetime, end: datetime) -> Iterator[datetime]:
        """The nominal times of ``start <= t < end`` in order, each found when it is asked for."""
        return (time for time, fires in self.candidates(start, end) if fires)

    def candidates(self, start: datetime, end: datetime) -> Iterator[tuple[datetime, bool]]:
        """The times of ``start <= t < end`` that the rules name, and whether each one fires.

        Those that do not are excluded; of a whole day that is, only the first is given. For those who
        must not search long in one go: each step takes a bounded time, but that to the next which
        fires may take many steps.
        """
        reached = max(round_up(start), self._start)
        end = min(end, self._end)
        rules = [_Cursor(times) for times in self._rules]
        exclusions = [_Cursor(times) for times in self._excluded_rules]
        while True:
            times = (rule.first_from(reached) for rule in rules)
            found = min((time for time in times if time is not None), default=None)
            if found is None or found >= end:
                return
            free = max((dates.free_from(found) for dates in self._excluded_dates), default=found)
            is_excluded = any(exclusion.first_from(found) == found for exclusion in exclusions)
            yield found, not is_excluded and free == found
            reached = max(free, found + _MILLISECOND)

    def _exclude(self, exclusion: Exclusion, default_zone: str) -> None:
        if isinstance(exclusion, ExcludedDates):
            self._excluded_dates.append(_Dates(exclusion, default_zone))
        else:
            self._excluded_rules.append(_times(exclusion, default_zone))


@lru_cache(maxsize=4096)
def recurrence(
    rules: tuple[Rule, ...],
    exclusions: tuple[Exclusion, ...] = (),
    zone: str = "UTC",
    start_time: datetime | None = None,
    end_time: datetime | None = None,
) -> Recurrence:
    """The recurrence of these rules, made once for all who ask for the same.

    Raises:
        InvalidRequest: with every field that is wrong, by its path in the schedule, and its remedy.

    """
    return Recurrence(rules, exclusions, zone=zone, start_time=start_time, end_time=end_time)


class _Cursor:
    """A rule that is asked about instants that only grow."""

    __slots__ = ("_next", "_times")

    def __init__(self, times: RuleTimes) -> None:
        self._times = times
        self._next: datetime | None = EARLIEST - _DAY

    def first_from(self, instant: datetime) -> datetime | None:
        if self._next is not None and self._next < instant:
            self._next = self._times.after(instant - _MILLISECOND)
        return self._next


class _Dates:
    """Days on which nothing fires."""

    def __init__(self, excluded: ExcludedDates, default_zone: str) -> None:
        if not 1 <= len(excluded.dates) <= DATES_MAX:
            raise InvalidRequest.of("dates", f"must be 1 to {DATES_MAX}")
        if not all(EARLIEST.date() <= day < LATEST.date() for day in excluded.dates):
            raise InvalidRequest.of("dates", f"must lie from {EARLIEST.year} to {LATEST.year - 1}")
        self._zone = time_zone(excluded.time_zone or default_zone)
        self._dates: frozenset[date] = frozenset(excluded.dates)

    def free_from(self, instant: datetime) -> datetime:
        """The instant itself, or the next midnight if its day is excluded."""
        day = to_wall(instant, self._zone).date()
        if day not in self._dates:
            return instant
        midnight = to_instant(datetime.combine(day + _DAY, time()), self._zone)
        # A fold over midnight shows the evening twice, the second time after that first midnight.
        return midnight if midnight > instant else instant + _MILLISECOND


@contextmanager
def _gathering(faults: list[FieldViolation], path: str) -> Iterator[None]:
    """What is wrong is added to the faults, under the path of what is read."""
    try:
        yield
    except InvalidRequest as error:
        faults.extend(FieldViolation(path + v.field, v.description) for v in error.violations)


def _times(rule: Rule, default_zone: str) -> RuleTimes:
    match rule:
        case CronRule():
            return CronTimes(rule, default_zone)
        case IntervalRule():
            return IntervalTimes(rule)
        case CalendarRule():
            return CalendarTimes(rule, default_zone)
        case TimesRule():
            return Times(rule)
        case _:
            assert_never(rule)
