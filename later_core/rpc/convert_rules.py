"""The rules of a schedule: protobuf <-> values, both ways (the client uses it too).

Paths of wrong fields are those below the schedule (``rules[2].times.times[0]``). What the rules of the
proto cannot say is judged by ``model.recurrence``, whose paths ``in_proto`` translates.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from typing import assert_never

from later_core.errors import FieldViolation, InvalidRequest
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
from later_core.rpc.times import from_duration, from_timestamp, to_duration, to_timestamp
from later_core.rpc.v1 import later_pb2 as pb

#: A value names its fields; on the wire some of them lie a message deeper.
_PATHS = (
    (re.compile(r"^((?:rules|exclusions)\[\d+\])\.times$"), r"\1.times.times"),
    (re.compile(r"^(exclusions\[\d+\])\.(dates|time_zone)$"), r"\1.dates.\2"),
)

_OneOfRules = pb.ScheduleRule | pb.ScheduleExclusion


def to_rule(rule: Rule) -> pb.ScheduleRule:
    """A rule on the wire."""
    message = pb.ScheduleRule()
    _fill(message, rule)
    return message


def to_exclusion(exclusion: Exclusion) -> pb.ScheduleExclusion:
    """An exclusion on the wire."""
    message = pb.ScheduleExclusion()
    if isinstance(exclusion, ExcludedDates):
        message.dates.dates.extend(day.isoformat() for day in exclusion.dates)
        message.dates.time_zone = exclusion.time_zone or ""
    else:
        _fill(message, exclusion)
    return message


def from_rule(message: pb.ScheduleRule, zone: str, path: str) -> Rule:
    """The rule meant, of a schedule in this time zone; ``path`` leads to it.

    Raises:
        InvalidRequest: a time, a duration or a date is malformed.

    """
    return _READ[message.WhichOneof("rule")](message, zone, path)


def from_exclusion(message: pb.ScheduleExclusion, zone: str, path: str) -> Exclusion:
    """As ``from_rule``."""
    kind = message.WhichOneof("exclusion")
    if kind == "dates":
        return ExcludedDates(
            dates=tuple(
                _date(text, f"{path}.dates.dates[{index}]")
                for index, text in enumerate(message.dates.dates)
            ),
            time_zone=message.dates.time_zone or None,
        )
    return _READ[kind](message, zone, path)


def in_proto(error: InvalidRequest) -> InvalidRequest:
    """What ``model.recurrence`` found, by the paths of the proto."""
    return InvalidRequest([FieldViolation(_path(v.field), v.description) for v in error.violations])


def _path(path: str) -> str:
    for pattern, replacement in _PATHS:
        path = pattern.sub(replacement, path)
    return path


def _fill(message: _OneOfRules, rule: Rule) -> None:
    match rule:
        case CronRule():
            message.cron.expression = rule.expression
            message.cron.time_zone = rule.time_zone or ""
        case IntervalRule():
            message.interval.every.CopyFrom(to_duration(rule.every))
            message.interval.anchor.CopyFrom(to_timestamp(rule.anchor))
        case CalendarRule():
            message.calendar.rrule = rule.rrule
            message.calendar.dtstart.CopyFrom(to_timestamp(rule.dtstart))
            message.calendar.time_zone = rule.time_zone or ""
        case TimesRule():
            message.times.times.extend(to_timestamp(time) for time in rule.times)
        case _:
            assert_never(rule)


def _cron(message: _OneOfRules, zone: str, path: str) -> Rule:
    return CronRule(expression=message.cron.expression, time_zone=message.cron.time_zone or None)


def _interval(message: _OneOfRules, zone: str, path: str) -> Rule:
    interval = message.interval
    return IntervalRule(
        every=from_duration(interval.every, f"{path}.interval.every"),
        anchor=(
            from_timestamp(interval.anchor, f"{path}.interval.anchor")
            if interval.HasField("anchor")
            else EPOCH
        ),
    )


def _calendar(message: _OneOfRules, zone: str, path: str) -> Rule:
    calendar = message.calendar
    return CalendarRule(
        rrule=calendar.rrule,
        dtstart=(
            from_timestamp(calendar.dtstart, f"{path}.calendar.dtstart")
            if calendar.HasField("dtstart")
            else default_dtstart(calendar.time_zone or zone)
        ),
        time_zone=calendar.time_zone or None,
    )


def _times(message: _OneOfRules, zone: str, path: str) -> Rule:
    return TimesRule(
        times=tuple(
            from_timestamp(time, f"{path}.times.times[{index}]")
            for index, time in enumerate(message.times.times)
        )
    )


_READ: dict[str | None, Callable[[_OneOfRules, str, str], Rule]] = {
    "cron": _cron,
    "interval": _interval,
    "calendar": _calendar,
    "times": _times,
}


def _date(text: str, path: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise InvalidRequest.of(path, f"{text!r} is not a day; write it as in 2030-12-25") from None
