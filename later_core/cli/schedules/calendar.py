"""``later schedules calendar``: a month at a glance."""

from __future__ import annotations

import re
from calendar import Calendar
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from itertools import islice
from string import ascii_lowercase
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import click
from rich import box
from rich.table import Table
from rich.text import Text

from later_core.cli.examples import Command
from later_core.cli.group import Top
from later_core.cli.options import server_options
from later_core.cli.output import print_grid, print_json
from later_core.cli.schedules.reading import take
from later_core.cli.schedules.rules import When, rule_options
from later_core.cli.schedules.shown import rule_text
from later_core.cli.session import converse
from later_core.cli.times import iso
from later_core.model import planning
from later_core.model.instance import NewInstance
from later_core.model.instant import EARLIEST, LATEST
from later_core.model.recurrence.wall import to_instant
from later_core.model.recurrence.zones import time_zone
from later_core.model.schedule import ScheduleFilter, ScheduleSpec
from later_core.ports.clock import SystemClock

if TYPE_CHECKING:
    from later_core.client.client import Client

#: As many as there are letters to call them by.
_SCHEDULES_MAX = len(ascii_lowercase)
#: Of one day and schedule so many times are looked for, and so many are spelled out.
_TIMES_MAX = 100
_SPELLED = 3
_DAY = timedelta(days=1)
#: Of one that ends after so many runs or fewer the end is looked for.
_RUNS_MAX = 10_000
_MONTH = re.compile(r"\d{4}-\d{2}")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shown:
    """A schedule in the calendar: what it fires at ``since <= t < until``."""

    name: str
    spec: ScheduleSpec
    since: datetime
    until: datetime


def _read_month(_: click.Context, __: click.Parameter, text: str | None) -> date | None:
    """The first day of the month."""
    if text is None:
        return None
    try:
        if _MONTH.fullmatch(text) and EARLIEST.year <= int(text[:4]) < LATEST.year:
            return date.fromisoformat(f"{text}-01")
    except ValueError:
        pass
    raise click.BadParameter(f"{text!r} is not a month such as 2030-12")


@click.command(
    cls=Command,
    examples=(
        "later schedules calendar",
        "later schedules calendar nightly --month 2030-12",
    ),
)
@click.argument("ids", metavar="[ID]...", nargs=-1)
@rule_options
@click.option(
    "--month", metavar="YYYY-MM", callback=_read_month, help="Which month. [default: this one]"
)
@server_options
@click.pass_obj
def calendar(
    top: Top, /, ids: Sequence[str], month: date | None, *, as_json: bool, **words: Any
) -> None:
    """Show a month at a glance.

    Those of the schedules ID, else all that are not paused; times are in --tz, else in their own
    time zone if they share one, else in UTC. With rules (--cron and the like) it shows those instead,
    and needs no server.
    """
    zone_name: str | None = words["tz"]
    said = When(words).said()
    if "rules" in said:
        if ids:
            raise click.UsageError("give ids or rules, not both")
        shown: Sequence[_Shown] = [_thought(said)]
    else:
        shown = converse(top, lambda client: _stored(client, ids))
    zones = {one.spec.time_zone for one in shown}
    zone = time_zone(zone_name or (zones.pop() if len(zones) == 1 else "UTC"))
    today = SystemClock().now().astimezone(zone).date()
    first = month or today.replace(day=1)
    days = {one.name: _days(one, first, zone) for one in shown}
    if as_json:
        for one in shown:
            times = [iso(time) for day in days[one.name].values() for time in day]
            print_json({"id": one.name, "times": times})
        return
    print_grid(_grid(first, zone, list(days.values()), today))
    for letter, one in zip(ascii_lowercase, shown, strict=False):
        rules = ", ".join(rule_text(rule) for rule in one.spec.rules)
        click.echo(f"{letter}  {one.name}  {rules}" if one.name != rules else f"{letter}  {rules}")


def _thought(said: dict[str, Any]) -> _Shown:
    spec = ScheduleSpec(**{"template": NewInstance(task=""), **said})
    planning.recurrence_of(spec)  # wrong rules are told before anything is drawn
    name = ", ".join(rule_text(rule) for rule in spec.rules)
    return _Shown(name=name, spec=spec, since=EARLIEST, until=_end(spec, SystemClock().now(), 0))


async def _stored(client: Client, ids: Sequence[str]) -> Sequence[_Shown]:
    if ids:
        found = [await client.get_schedule(id) for id in dict.fromkeys(ids)]
    else:
        found = await take(client, ScheduleFilter(is_paused=False), _SCHEDULES_MAX)
    if len(found) > _SCHEDULES_MAX:
        found = found[:_SCHEDULES_MAX]
        click.echo(f"later: there are more than {_SCHEDULES_MAX}; name those to show", err=True)
    return [
        _Shown(
            name=schedule.id,
            spec=schedule.spec,
            since=schedule.create_time,
            until=_end(schedule.spec, schedule.progress.planned_until, schedule.progress.runs),
        )
        for schedule in (listed.schedule for listed in found)
    ]


def _end(spec: ScheduleSpec, after: datetime, runs: int) -> datetime:
    """Behind its last run, with ``runs`` behind it at an instant; the last of many is not looked for."""
    if spec.max_runs is None or spec.max_runs - runs > _RUNS_MAX:
        return LATEST
    last = max(planning.preview(spec, after, runs), default=after)
    return last + timedelta(milliseconds=1)


def _days(one: _Shown, first: date, zone: ZoneInfo) -> dict[date, Sequence[datetime]]:
    """The times of each day of the month, at most ``_TIMES_MAX`` of each."""
    following = (first + 31 * _DAY).replace(day=1)
    count = (following - first).days
    return {
        day: list(
            islice(_between(one, _midnight(day, zone), _midnight(day + _DAY, zone)), _TIMES_MAX)
        )
        for day in (first + n * _DAY for n in range(count))
    }


def _between(one: _Shown, start: datetime, end: datetime) -> Iterator[datetime]:
    return planning.recurrence_of(one.spec).between(max(start, one.since), min(end, one.until))


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return to_instant(datetime.combine(day, time()), zone)


def _grid(
    first: date, zone: ZoneInfo, schedules: Sequence[dict[date, Sequence[datetime]]], today: date
) -> Table:
    table = Table(title=f"{first:%B %Y}, {zone.key}", box=box.SQUARE, show_lines=True)
    for name in ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"):
        table.add_column(name, overflow="fold")
    for week in Calendar().monthdatescalendar(first.year, first.month):
        table.add_row(
            *(
                _cell(day, zone, schedules, today) if day.month == first.month else ""
                for day in week
            )
        )
    return table


def _cell(
    day: date, zone: ZoneInfo, schedules: Sequence[dict[date, Sequence[datetime]]], today: date
) -> Text:
    text = Text(str(day.day), style="bold reverse" if day == today else "bold")
    for letter, days in zip(ascii_lowercase, schedules, strict=False):
        if times := days[day]:
            text.append(f"\n{letter} {_times(times, zone)}", style="dim" if day < today else "")
    return text


def _times(times: Sequence[datetime], zone: ZoneInfo) -> str:
    if len(times) > _SPELLED:
        return f"{len(times)}x" if len(times) < _TIMES_MAX else f">{_TIMES_MAX - 1}x"
    return " ".join(f"{time.astimezone(zone):%H:%M}" for time in times)
