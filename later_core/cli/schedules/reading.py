"""Commands that change nothing: list, show, preview."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import aclosing
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any

import click

from later_core.cli.examples import Command
from later_core.cli.group import Top
from later_core.cli.options import WholeNumber, labels_option, server_options
from later_core.cli.output import print_details, print_json, print_table
from later_core.cli.schedules.rules import When, rule_options
from later_core.cli.schedules.shown import COLUMNS, listed_details, local, rows
from later_core.cli.session import converse
from later_core.cli.times import iso, relative
from later_core.model import planning
from later_core.model.instance import NewInstance
from later_core.model.limits import PREVIEW_MAX_TIMES
from later_core.model.recurrence.zones import time_zone
from later_core.model.schedule import ListedSchedule, ScheduleFilter, ScheduleSpec
from later_core.ports.clock import SystemClock

if TYPE_CHECKING:
    from later_core.client.client import Client

_NEXT_TIMES_MAX = 5


@click.command(
    "list",
    cls=Command,
    examples=(
        "later schedules list",
        "later schedules list --task echo --active --times 3",
    ),
)
@click.option("--task", "tasks", multiple=True, help="Of this task; may be repeated.")
@labels_option(help="With this label; may be repeated: all of them.")
@click.option("--paused/--active", "is_paused", default=None, help="Those that rest, or do not.")
@click.option(
    "--limit",
    type=WholeNumber(min=0),
    default=100,
    show_default=True,
    help="At most so many; 0: all.",
)
@click.option(
    "--times",
    type=WholeNumber(1, _NEXT_TIMES_MAX),
    default=1,
    show_default=True,
    help="So many next times of each.",
)
@server_options
@click.pass_obj
def list_(
    top: Top,
    tasks: Sequence[str],
    labels: dict[str, str],
    is_paused: bool | None,
    limit: int,
    times: int,
    *,
    as_json: bool,
) -> None:
    """List schedules, with when they fire next.

    Those that meet all conditions, in order of id.
    """
    filter = ScheduleFilter(tasks=frozenset(tasks), labels=labels, is_paused=is_paused)
    found = converse(top, lambda client: take(client, filter, limit))
    shown = found[:limit] if limit else found
    if as_json:
        from later_core.client.records import listed_schedule_record

        for listed in shown:
            print_json(listed_schedule_record(listed))
    else:
        now = SystemClock().now()
        print_table(COLUMNS, [row for listed in shown for row in rows(listed, now, times)])
    if len(found) > len(shown):
        click.echo(f"later: there are more than {limit}; --limit 0 shows all", err=True)


async def take(client: Client, filter: ScheduleFilter, limit: int) -> list[ListedSchedule]:
    """The first that match, one more than asked for where there are more; 0: all."""
    taken: list[ListedSchedule] = []
    async with aclosing(client.list_schedules(filter)) as schedules:
        async for listed in schedules:
            taken.append(listed)
            if limit and len(taken) > limit:
                break
    return taken


@click.command(
    cls=Command,
    examples=("later schedules show nightly",),
)
@click.argument("id")
@server_options
@click.pass_obj
def show(top: Top, id: str, *, as_json: bool) -> None:
    """Show all about the schedule ID."""
    listed = converse(top, lambda client: client.get_schedule(id))
    if as_json:
        from later_core.client.records import listed_schedule_record

        print_json(listed_schedule_record(listed))
    else:
        print_details(listed_details(listed, SystemClock().now()))


@click.command(
    cls=Command,
    examples=(
        "later schedules preview '30 2 * * *' --tz Europe/Paris --count 3",
        "later schedules preview --every 90m --exclude 2030-12-25",
        "later schedules preview --id nightly",
    ),
)
@click.argument("expressions", metavar="[EXPRESSION]...", nargs=-1)
@rule_options
@click.option("--id", help="Of the stored schedule ID, as the server says.")
@click.option("--after", metavar="TIME", help="The times after this one. [default: now]")
@click.option(
    "--count",
    type=WholeNumber(1, PREVIEW_MAX_TIMES),
    default=10,
    show_default=True,
    help="So many times.",
)
@server_options
@click.pass_obj
def preview(
    top: Top,
    /,
    expressions: Sequence[str],
    id: str | None,
    after: str | None,
    count: int,
    *,
    as_json: bool,
    **words: Any,
) -> None:
    """Show when a schedule would fire.

    Nothing is stored, and only --id needs a server. EXPRESSION is a cron expression, as --cron is.
    """
    words["cron"] = (*expressions, *words["cron"])
    zone = words["tz"]
    when = When(words)
    start = when.instant("--after", after)
    if id is not None:
        if when.said().keys() - {"time_zone"}:
            raise click.UsageError("give --id or rules, not both")
        zone, times = converse(top, lambda client: _stored(client, id, zone, start, count))
    else:
        zone, times = zone or "UTC", list(islice(_thought(when, start), count))
    if as_json:
        from later_core.client.records import preview_record

        print_json(preview_record(times))
        return
    now, here = SystemClock().now(), time_zone(zone)
    print_table(
        (zone.upper(), "IN UTC", ""),
        [(local(time, here), iso(time), relative(time, now)) for time in times],
    )
    if len(times) < count:
        click.echo(
            "later: it fires no more after that" if times else "later: it never fires", err=True
        )


def _thought(when: When, after: datetime | None) -> Iterator[datetime]:
    said = when.said()
    if "rules" not in said:
        raise click.UsageError(
            "say when: give an EXPRESSION, --cron, --every, --rrule, --at or --id"
        )
    spec = ScheduleSpec(**{"template": NewInstance(task=""), **said})
    return planning.preview(spec, after or SystemClock().now())


async def _stored(
    client: Client, id: str, zone: str | None, after: datetime | None, count: int
) -> tuple[str, Sequence[datetime]]:
    """The zone to show them in, and the times."""
    if zone is None:
        zone = (await client.get_schedule(id)).schedule.spec.time_zone
    return zone, await client.preview_schedule(id, after, count)
