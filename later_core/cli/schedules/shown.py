"""How schedules look: in words, in a list, in detail."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import assert_never
from zoneinfo import ZoneInfo

from rich.text import Text

from later_core.cli.output import concurrency_text, payload_text
from later_core.cli.times import iso, relative
from later_core.model.duration import format_duration
from later_core.model.instant import EPOCH
from later_core.model.recurrence.rules import (
    CalendarRule,
    CronRule,
    ExcludedDates,
    Exclusion,
    IntervalRule,
    TimesRule,
)
from later_core.model.recurrence.zones import time_zone
from later_core.model.schedule import ListedSchedule, Schedule, ScheduleSpec
from later_core.model.state import State

COLUMNS = ("ID", "TASK", "RULES", "RUNS", "NEXT TIME", "")

#: So many instants or days are spelled out; then only how many more there are.
_SPELLED = 3


def local(instant: datetime, zone: ZoneInfo) -> str:
    """What a clock in the zone shows, with the day of the week and the zone's own letters."""
    here = instant.astimezone(zone)
    fraction = f".{here.microsecond // 1000:03}" if here.microsecond else ""
    return f"{here:%a %Y-%m-%d %H:%M:%S}{fraction} {here:%Z}"


def rule_text(rule: Exclusion) -> str:
    """A rule or an exclusion on one line."""
    match rule:
        case CronRule():
            return rule.expression + _in(rule.time_zone)
        case IntervalRule():
            since = "" if rule.anchor == EPOCH else f" from {iso(rule.anchor)}"
            return f"every {format_duration(rule.every)}{since}"
        case CalendarRule():
            return rule.rrule + _in(rule.time_zone)
        case TimesRule():
            return f"at {_some([iso(time) for time in sorted(rule.times)])}"
        case ExcludedDates():
            return f"on {_some([day.isoformat() for day in sorted(rule.dates)])}" + _in(
                rule.time_zone
            )
        case _:
            assert_never(rule)


def rows(listed: ListedSchedule, now: datetime, times: int) -> Iterator[Sequence[str | Text]]:
    """The cells of ``COLUMNS``: a line for the schedule, and one for each further time."""
    schedule = listed.schedule
    spec = schedule.spec
    zone = time_zone(spec.time_zone)
    next_times = listed.next_times[:times]
    first = next_times[0] if next_times else None
    yield (
        schedule.id,
        spec.template.task,
        ", ".join(rule_text(rule) for rule in spec.rules),
        str(schedule.progress.runs),
        local(first, zone) if first is not None else _standing(schedule),
        relative(first, now) if first is not None else "",
    )
    for time in next_times[1:]:
        yield "", "", "", "", local(time, zone), relative(time, now)


def details(schedule: Schedule, now: datetime) -> Iterable[tuple[str, str | Text]]:
    """Everything that a schedule is."""
    yield "id", schedule.id
    yield from _spec_details(schedule.spec)
    if schedule.is_paused:
        yield "paused", schedule.pause_note or "yes"
    elif schedule.pause_note:
        yield "note", schedule.pause_note
    yield "runs", str(schedule.progress.runs)
    yield "missed", str(schedule.progress.missed)
    yield "created", _when(schedule.create_time, now)
    yield "updated", _when(schedule.update_time, now)
    yield "etag", schedule.etag


def listed_details(listed: ListedSchedule, now: datetime) -> Iterable[tuple[str, str | Text]]:
    """Everything that a schedule is, how its instances stand, and when it fires next."""
    yield from details(listed.schedule, now)
    counts = [
        f"{listed.counts[state]} {state.value}" for state in State if listed.counts.get(state)
    ]
    yield "instances", ", ".join(counts)
    zone = time_zone(listed.schedule.spec.time_zone)
    for time in listed.next_times:
        yield "next time", f"{local(time, zone)} ({relative(time, now)})"


def _spec_details(spec: ScheduleSpec) -> Iterable[tuple[str, str | Text]]:
    template = spec.template
    yield "task", template.task
    yield "parameters", payload_text(template.parameters)
    for rule in spec.rules:
        yield "rule", rule_text(rule)
    for exclusion in spec.exclusions:
        yield "except", rule_text(exclusion)
    yield "time zone", spec.time_zone
    yield "from", iso(spec.start_time) if spec.start_time else ""
    yield "until", iso(spec.end_time) if spec.end_time else ""
    yield "at most", f"{spec.max_runs} runs" if spec.max_runs else ""
    yield "jitter", _span(spec.jitter)
    yield "overlap", spec.overlap.value
    yield "catch up", spec.catch_up.value
    yield "catch-up window", _span(spec.catchup_window)
    yield "on failure", "pauses" if spec.pause_on_failure else ""
    if template.retry.max_attempts > 1:
        yield "attempts", str(template.retry.max_attempts)
    yield "timeout", _span(template.timeout)
    yield "start deadline", _span(template.start_deadline)
    yield "concurrency", concurrency_text(template.concurrency)
    yield "delivery", template.delivery.value
    yield "priority", str(template.priority or "")
    yield "labels", ", ".join(f"{key}={value}" for key, value in sorted(template.labels.items()))


def _standing(schedule: Schedule) -> Text:
    """Why no time is next."""
    if not schedule.is_paused:
        return Text("ended", style="dim")
    note = f": {schedule.pause_note}" if schedule.pause_note else ""
    return Text(f"paused{note}", style="yellow")


def _when(instant: datetime, now: datetime) -> str:
    return f"{iso(instant)} ({relative(instant, now)})"


def _span(span: timedelta | None) -> str:
    return format_duration(span) if span else ""


def _in(zone: str | None) -> str:
    return f" ({zone})" if zone else ""


def _some(texts: Sequence[str]) -> str:
    more = len(texts) - _SPELLED
    return ", ".join(texts[:_SPELLED]) + (f" and {more} more" if more > 0 else "")
