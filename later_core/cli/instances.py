"""Commands on instances that exist: get, list, abort, reschedule, retry."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import aclosing
from datetime import timedelta
from typing import Any

import click

from later_core.cli.examples import Command
from later_core.cli.group import Top
from later_core.cli.options import (
    WholeNumber,
    build_filter,
    due,
    due_options,
    filter_options,
    server_options,
)
from later_core.cli.output import (
    ATTEMPT_COLUMNS,
    INSTANCE_COLUMNS,
    attempt_rows,
    instance_details,
    instance_row,
    print_details,
    print_json,
    print_table,
)
from later_core.cli.session import converse
from later_core.cli.times import When
from later_core.client.client import Client
from later_core.client.records import instance_record
from later_core.model.instance import Instance
from later_core.model.limits import PAGE_MAX_SIZE
from later_core.model.query import Filter
from later_core.model.state import State
from later_core.ports.clock import SystemClock


def show_instance(instance: Instance, *, as_json: bool) -> None:
    """All of one instance."""
    if as_json:
        print_json(instance_record(instance))
    else:
        print_details(instance_details(instance, SystemClock().now()))
        if rows := list(attempt_rows(instance)):
            click.echo()
            print_table(ATTEMPT_COLUMNS, rows, prose=True)


def _converse_and_show(
    top: Top, ask: Callable[[Client], Awaitable[Instance]], *, as_json: bool
) -> None:
    async def talk(client: Client) -> Instance:
        return await ask(client)

    show_instance(converse(top, talk), as_json=as_json)


@click.command(
    cls=Command,
    examples=(
        "later get hello-1",
        "later get hello-1 --json",
    ),
)
@click.argument("id")
@server_options
@click.pass_obj
def get(top: Top, id: str, *, as_json: bool) -> None:
    """Show the instance ID as it is now."""
    _converse_and_show(top, lambda client: client.get(id), as_json=as_json)


@click.command(
    "list",
    cls=Command,
    examples=(
        "later list --state pending --until 'in 1 hour'",
        "later list --task echo --label team=blue --limit 0 --json",
    ),
)
@filter_options
@click.option(
    "--limit",
    type=WholeNumber(min=0),
    default=100,
    show_default=True,
    help="At most so many; 0: all.",
)
@server_options
@click.pass_obj
def list_(top: Top, /, limit: int, *, as_json: bool, **conditions: Any) -> None:
    """List the instances that meet all conditions, in order of execution time."""
    filter = build_filter(conditions)
    if as_json:
        converse(top, lambda client: _print_records(client, filter, limit))
        return
    instances, has_more = converse(top, lambda client: _take(client, filter, limit))
    now = SystemClock().now()
    print_table(INSTANCE_COLUMNS, [instance_row(instance, now) for instance in instances])
    _say_more(has_more=has_more, limit=limit)


async def _print_records(client: Client, filter: Filter, limit: int) -> None:
    """Line by line as the pages come: a long list is never held in memory."""
    count = 0
    async with aclosing(client.list(filter, page_size=_page_size(limit))) as instances:
        async for instance in instances:
            if limit and count == limit:
                _say_more(has_more=True, limit=limit)
                return
            print_json(instance_record(instance))
            count += 1


async def _take(client: Client, filter: Filter, limit: int) -> tuple[list[Instance], bool]:
    taken: list[Instance] = []
    async with aclosing(client.list(filter, page_size=_page_size(limit))) as instances:
        async for instance in instances:
            if limit and len(taken) == limit:
                return taken, True
            taken.append(instance)
    return taken, False


def _page_size(limit: int) -> int:
    # One more than is shown, to know whether there are more.
    return min(limit + 1, PAGE_MAX_SIZE) if limit else PAGE_MAX_SIZE


def _say_more(*, has_more: bool, limit: int) -> None:
    if has_more:
        click.echo(f"later: there are more than {limit}; --limit 0 shows all", err=True)


@click.command(
    cls=Command,
    examples=("later abort hello-1",),
)
@click.argument("id")
@server_options
@click.pass_obj
def abort(top: Top, id: str, *, as_json: bool) -> None:
    """Abort the instance ID: a pending one never starts, a running one is cancelled."""
    instance, before = converse(top, lambda client: client.abort(id))
    if as_json:
        print_json(instance_record(instance))
    elif before is State.PENDING:
        click.echo(f"{id}: aborted while PENDING; it never starts")
    else:
        click.echo(f"{id}: aborted while {before.value}; its run is cancelled")


@click.command(
    cls=Command,
    examples=(
        "later reschedule hello-1 --in 30m",
        "later reschedule hello-1 --at 2040-01-31T09:00:00Z",
    ),
)
@click.argument("id")
@due_options
@click.option("--revision", type=WholeNumber(min=1), help="Only if it is still at this revision.")
@server_options
@click.pass_obj
def reschedule(
    top: Top,
    id: str,
    at: When | None,
    in_: timedelta | None,
    revision: int | None,
    *,
    as_json: bool,
) -> None:
    """Move the pending instance ID to another time."""
    if at is None and in_ is None:
        raise click.UsageError("give one of --at and --in")
    when = due(at, in_)
    _converse_and_show(
        top, lambda client: client.reschedule(id, revision=revision, **when), as_json=as_json
    )


@click.command(
    cls=Command,
    examples=(
        "later retry hello-1",
        "later retry hello-1 --at 'tomorrow 09:00'",
    ),
)
@click.argument("id")
@due_options
@server_options
@click.pass_obj
def retry(top: Top, id: str, at: When | None, in_: timedelta | None, *, as_json: bool) -> None:
    """Run the ended instance ID again: now, or at another time."""
    when = due(at, in_)
    _converse_and_show(top, lambda client: client.retry(id, **when), as_json=as_json)
