"""Commands that change something: create, update, delete, pause, resume, trigger, backfill."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from later_core.cli.examples import Command
from later_core.cli.group import Top
from later_core.cli.instances import show_instance
from later_core.cli.options import server_options
from later_core.cli.output import print_details, print_json
from later_core.cli.schedules.rules import rule_options
from later_core.cli.schedules.shown import details
from later_core.cli.schedules.spec import changed, clear_option, conduct_options, new
from later_core.cli.session import converse
from later_core.cli.template import policy_options, template_options
from later_core.cli.times import iso, parse_instant
from later_core.model.recurrence.zones import time_zone
from later_core.model.schedule import Backfill, Schedule
from later_core.ports.clock import SystemClock

if TYPE_CHECKING:
    from later_core.client.client import Client

_note_option = click.option("--note", default="", help="Why, in your own words.")
_etag_option = click.option("--etag", help="Only if it still has this etag.")


@click.command(
    cls=Command,
    examples=(
        "later schedules create echo hello --cron '0 9 * * MON-FRI' --tz Europe/Paris",
        "later schedules create bash 'df -h /' --every 90m --id disk --overlap skip",
        "later schedules create echo hi --rrule 'FREQ=MONTHLY;BYDAY=-1FR;BYHOUR=9'",
    ),
)
@template_options
@rule_options
@conduct_options
@click.option("--id", help="An id of your own: the same create again changes nothing.")
@click.option("--paused", is_flag=True, help="Let it rest until it is resumed.")
@_note_option
@server_options
@click.pass_obj
def create(
    top: Top, /, *, id: str | None, paused: bool, note: str, as_json: bool, **words: Any
) -> None:
    """Create a schedule: run TASK by rules.

    PARAMETERS are any text; - reads them from stdin.
    """
    spec = new(words)
    _show(
        top,
        lambda client: client.create_schedule(spec, id=id, paused=paused, note=note),
        as_json=as_json,
    )


@click.command(
    cls=Command,
    examples=(
        "later schedules update nightly --cron '0 3 * * *'",
        "later schedules update nightly 'good night' --max-attempts 3",
    ),
)
@click.argument("id")
@click.argument("parameters", required=False)
@click.option("--task", help="Another task.")
@policy_options
@rule_options
@conduct_options
@clear_option
@_etag_option
@server_options
@click.pass_obj
def update(top: Top, /, *, id: str, etag: str | None, as_json: bool, **words: Any) -> None:
    """Change the schedule ID.

    What is not given stays as it is. Rules that are given replace all rules, exclusions all exclusions,
    labels all labels. Should somebody else change the schedule at the same moment, nothing is changed.
    """

    async def talk(client: Client) -> Schedule:
        before = (await client.get_schedule(id)).schedule
        return await client.update_schedule(id, changed(before.spec, words), etag or before.etag)

    _show(top, talk, as_json=as_json)


@click.command(
    cls=Command,
    examples=("later schedules delete nightly",),
)
@click.argument("id")
@_etag_option
@server_options
@click.pass_obj
def delete(top: Top, id: str, etag: str | None, *, as_json: bool) -> None:
    """Delete the schedule ID.

    Its pending instances are aborted, running ones go on.
    """
    _tell(
        top, lambda client: client.delete_schedule(id, etag), lambda _: "deleted", as_json=as_json
    )


@click.command(
    cls=Command,
    examples=("later schedules pause nightly --note 'the disk is being replaced'",),
)
@click.argument("id")
@_note_option
@server_options
@click.pass_obj
def pause(top: Top, id: str, note: str, *, as_json: bool) -> None:
    """Let the schedule ID rest until it is resumed."""
    _tell(top, lambda client: client.pause_schedule(id, note), lambda _: "paused", as_json=as_json)


@click.command(
    cls=Command,
    examples=("later schedules resume nightly",),
)
@click.argument("id")
@_note_option
@server_options
@click.pass_obj
def resume(top: Top, id: str, note: str, *, as_json: bool) -> None:
    """Let the schedule ID fire again, from now on."""

    def said(schedule: Schedule) -> str:
        next_time = schedule.progress.next_time
        return f"resumed; next {iso(next_time)}" if next_time else "resumed; it has ended"

    _tell(top, lambda client: client.resume_schedule(id, note), said, as_json=as_json)


@click.command(
    cls=Command,
    examples=("later schedules trigger nightly",),
)
@click.argument("id")
@click.option("--request-id", help="The same request again answers the same instance.")
@server_options
@click.pass_obj
def trigger(top: Top, id: str, request_id: str | None, *, as_json: bool) -> None:
    """Run the schedule ID now.

    Whatever its rules say, and also while it is paused.
    """
    show_instance(
        converse(top, lambda client: client.trigger_schedule(id, request_id)), as_json=as_json
    )


@click.command(
    cls=Command,
    examples=("later schedules backfill nightly --from 2026-11-01 --to 2026-11-08",),
)
@click.argument("id")
@click.option("--from", "start", metavar="TIME", required=True, help="Times at or after this one.")
@click.option("--to", "end", metavar="TIME", help="Times before this one. [default: now]")
@server_options
@click.pass_obj
def backfill(top: Top, id: str, start: str, end: str | None, *, as_json: bool) -> None:
    """Run the past times of the schedule ID.

    What is missing of them is created, due at once. Times without a zone are in that of the schedule.
    """

    async def talk(client: Client) -> Backfill:
        zone = (await client.get_schedule(id)).schedule.spec.time_zone
        begin, until = _instant("--from", start, zone), _instant("--to", end or "now", zone)
        return await client.backfill_schedule(id, begin, until)

    done = converse(top, talk)
    if as_json:
        from later_core.client.records import backfill_record

        print_json(backfill_record(done))
    else:
        click.echo(f"{id}: {done.created} created, {done.existing} were there already")


def _instant(option: str, text: str, zone: str) -> datetime:
    try:
        return parse_instant(text, SystemClock().now(), time_zone(zone))
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint=f"'{option}'") from None


def _show(
    top: Top, ask: Callable[[Client], Coroutine[Any, Any, Schedule]], *, as_json: bool
) -> None:
    schedule = converse(top, ask)
    if as_json:
        _print_record(schedule)
    else:
        print_details(details(schedule, SystemClock().now()))


def _tell(
    top: Top,
    ask: Callable[[Client], Coroutine[Any, Any, Schedule]],
    said: Callable[[Schedule], str],
    *,
    as_json: bool,
) -> None:
    schedule = converse(top, ask)
    if as_json:
        _print_record(schedule)
    else:
        click.echo(f"{schedule.id}: {said(schedule)}")


def _print_record(schedule: Schedule) -> None:
    from later_core.client.records import schedule_record

    print_json(schedule_record(schedule))
