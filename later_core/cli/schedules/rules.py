"""When a schedule fires, as people type it: rules, exclusions, bounds, and the zone they are in."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import click

from later_core.cli.options import WholeNumber, all_of, duration_option
from later_core.cli.times import parse_instant
from later_core.errors import InvalidRequest
from later_core.model.instant import EPOCH
from later_core.model.recurrence.calendar import default_dtstart
from later_core.model.recurrence.rules import (
    CalendarRule,
    CronRule,
    ExcludedDates,
    Exclusion,
    IntervalRule,
    Rule,
    TimesRule,
)
from later_core.model.recurrence.zones import time_zone
from later_core.ports.clock import SystemClock

_F = TypeVar("_F", bound=Callable[..., Any])

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_CRON = re.compile(r"@\w+|\S+(\s+\S+){4,5}")
_RRULE = re.compile(r"(RRULE:)?[A-Z]+=", re.IGNORECASE)


def rule_options(command: _F) -> _F:
    """When it fires; ``When`` reads them."""
    return all_of(
        command,
        click.option(
            "--cron",
            metavar="EXPRESSION",
            multiple=True,
            help="Fire as '*/5 9-17 * * MON-FRI' or @daily says; may be repeated.",
        ),
        duration_option("--every", help="Fire again after so long: 90s, 1h30m."),
        click.option(
            "--anchor",
            metavar="TIME",
            help="From when --every counts. [default: 1970-01-01T00:00Z]",
        ),
        click.option(
            "--rrule",
            metavar="RULE",
            multiple=True,
            help="Fire as a rule of iCalendar says: 'FREQ=MONTHLY;BYDAY=-1FR;BYHOUR=9'.",
        ),
        click.option(
            "--dtstart",
            metavar="TIME",
            help="From when --rrule counts. [default: Monday 2001-01-01, 00:00]",
        ),
        click.option(
            "--at", metavar="TIME", multiple=True, help="Fire at this time; may be repeated."
        ),
        click.option(
            "--exclude",
            metavar="DAY|TIME|RULE",
            multiple=True,
            help="Do not fire on this day (2030-12-25), at this time, or whenever this cron expression"
            " or iCalendar rule says; may be repeated.",
        ),
        click.option(
            "--tz",
            metavar="ZONE",
            help="The time zone, such as Europe/Paris, of all rules and of every time given without"
            " one. [default: UTC]",
        ),
        click.option("--start", metavar="TIME", help="Do not fire before this time."),
        click.option("--end", metavar="TIME", help="Fire before this time only."),
        click.option(
            "--max-runs", type=WholeNumber(1, 2**31 - 1), help="Fire so many times at most."
        ),
    )


class When:
    """What the values of ``rule_options`` say. Attributes are None where nothing was said."""

    def __init__(self, words: dict[str, Any], zone_before: str = "UTC") -> None:
        """Take the words out; raises click's own complaints, and InvalidRequest about the zone."""
        self.time_zone: str | None = words.pop("tz")
        self._name = self.time_zone or zone_before
        zone = _zone(self._name)
        self._instant = partial(_instant, zone=zone)
        self.start_time = self.instant("--start", words.pop("start"))
        self.end_time = self.instant("--end", words.pop("end"))
        self.max_runs: int | None = words.pop("max_runs")
        self.rules = self._rules(words) or None
        self.exclusions = self._exclusions(words.pop("exclude")) or None

    def instant(self, option: str, text: str | None) -> datetime | None:
        """The instant that an option names, in the zone of the schedule unless it says otherwise."""
        return None if text is None else self._instant(option, text)

    def said(self) -> dict[str, Any]:
        """The fields of a ScheduleSpec that were said."""
        names = ("rules", "exclusions", "time_zone", "start_time", "end_time", "max_runs")
        return {name: value for name in names if (value := getattr(self, name)) is not None}

    def _rules(self, words: dict[str, Any]) -> tuple[Rule, ...]:
        every: timedelta | None = words.pop("every")
        anchor = self.instant("--anchor", words.pop("anchor"))
        rrules: Sequence[str] = words.pop("rrule")
        dtstart = self.instant("--dtstart", words.pop("dtstart"))
        times = tuple(self._instant("--at", text) for text in words.pop("at"))
        if anchor is not None and every is None:
            raise click.UsageError("--anchor says from when --every counts; give that too")
        if dtstart is not None and not rrules:
            raise click.UsageError("--dtstart says from when --rrule counts; give that too")
        rules: list[Rule] = [CronRule(expression=text) for text in words.pop("cron")]
        if every is not None:
            rules.append(IntervalRule(every=every, anchor=anchor or EPOCH))
        rules += [self._calendar(text, dtstart) for text in rrules]
        if times:
            rules.append(TimesRule(times=times))
        return tuple(rules)

    def _exclusions(self, texts: Sequence[str]) -> tuple[Exclusion, ...]:
        days: list[date] = []
        times: list[datetime] = []
        exclusions: list[Exclusion] = []
        for text in (text.strip() for text in texts):
            if _DAY.fullmatch(text):
                days.append(_day(text))
            elif _RRULE.match(text):
                exclusions.append(self._calendar(text, None))
            elif _CRON.fullmatch(text):
                exclusions.append(CronRule(expression=text))
            else:
                times.append(self._instant("--exclude", text))
        if days:
            exclusions.append(ExcludedDates(dates=tuple(days)))
        if times:
            exclusions.append(TimesRule(times=tuple(times)))
        return tuple(exclusions)

    def _calendar(self, text: str, dtstart: datetime | None) -> CalendarRule:
        return CalendarRule(rrule=text, dtstart=dtstart or default_dtstart(self._name))


def _zone(name: str) -> ZoneInfo:
    try:
        return time_zone(name)
    except InvalidRequest as error:
        raise _wrong("--tz", error.violations[0].description) from None


def _instant(option: str, text: str, *, zone: ZoneInfo) -> datetime:
    try:
        return parse_instant(text, SystemClock().now(), zone)
    except ValueError as error:
        raise _wrong(option, str(error)) from None


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise _wrong("--exclude", f"{text!r} is not a day of the calendar") from None


def _wrong(option: str, description: str) -> click.BadParameter:
    return click.BadParameter(description, param_hint=f"'{option}'")
