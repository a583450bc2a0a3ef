"""``later watch``: events as they come."""

from __future__ import annotations

from contextlib import aclosing
from datetime import timedelta
from typing import Any

import click

from later_core.cli.examples import Command
from later_core.cli.group import Top
from later_core.cli.options import WholeNumber, build_filter, filter_options, server_options
from later_core.cli.output import console, event_line, print_json
from later_core.cli.session import converse
from later_core.cli.times import spell
from later_core.client.client import Client
from later_core.client.errors import RpcError
from later_core.client.records import event_records
from later_core.model.event import EventBatch


@click.command(
    cls=Command,
    examples=(
        "later watch --task echo",
        "later watch --include-existing --state failed --json",
        "later watch --include-existing --limit 1",
    ),
)
@filter_options
@click.option("--include-existing", is_flag=True, help="First show what matches now.")
@click.option("--resume-token", help="Continue behind this point: the last resumeToken of --json.")
@click.option("--bookmarks", is_flag=True, help="With --json: also print tokens without events.")
@click.option("--limit", type=WholeNumber(min=1), help="Leave after so many events.")
@server_options
@click.pass_obj
def watch(top: Top, /, *, as_json: bool, **words: Any) -> None:
    """Follow the changes of the instances that meet all conditions, until Ctrl-C.

    When the server goes away, watch waits for it and continues without gap or repeat. A RESYNC
    says that the history in between is lost: read anew what you know.
    """
    filter = build_filter(words)
    if words["bookmarks"] and not as_json:
        raise click.UsageError("--bookmarks needs --json: people are shown no tokens")
    if words["include_existing"] and words["resume_token"]:
        raise click.UsageError("give one of --include-existing and --resume-token")

    async def talk(client: Client) -> None:
        left = words["limit"]
        batches = client.watch(
            filter,
            resume_token=words["resume_token"],
            include_existing=words["include_existing"],
            on_break=_say_break,
        )
        async with aclosing(batches):
            async for batch in batches:
                shown = batch if left is None else _first(batch, left)
                if as_json:
                    _print_records(shown, bookmarks=words["bookmarks"])
                else:
                    _print_lines(shown)
                if left is not None:
                    left -= len(shown.events)
                    if left == 0:
                        return

    converse(top, talk)


def _first(batch: EventBatch, count: int) -> EventBatch:
    """At most so many events; the token stands behind all of the batch, and is not for a part."""
    if len(batch.events) <= count:
        return batch
    return EventBatch(batch.events[:count], "")


def _print_lines(batch: EventBatch) -> None:
    out = console()
    for event in batch.events:
        out.print(event_line(event), soft_wrap=True)


def _print_records(batch: EventBatch, *, bookmarks: bool) -> None:
    for record in event_records(batch):
        if bookmarks or "type" in record:
            print_json(record)


def _say_break(error: RpcError, pause: timedelta) -> None:
    click.echo(f"later: {error}; again in {spell(pause.total_seconds())}", err=True)
