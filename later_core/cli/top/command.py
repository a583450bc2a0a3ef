"""``later top`` on the command line: loads Textual when it runs, and says so where it is missing."""

from __future__ import annotations

from datetime import timedelta
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import click

from later_core.cli.examples import Command
from later_core.cli.group import Top
from later_core.cli.options import build_filter, duration_option, filter_options, server_options
from later_core.cli.session import converse

if TYPE_CHECKING:
    from later_core.client.client import Client

_INTERVAL = timedelta(seconds=2)
_SHORTEST = timedelta(milliseconds=100)


@click.command(
    cls=Command,
    examples=(
        "later top",
        "later --address later.example:9081 --tls top --task bash --interval 5s",
    ),
)
@filter_options
@duration_option("--interval", help="How long between two readings of the figures; else 2s.")
@click.option("--read-only", is_flag=True, help="Offer no key that changes anything.")
@server_options
@click.pass_obj
def top(
    top: Top, /, *, interval: timedelta | None, read_only: bool, as_json: bool, **conditions: Any
) -> None:
    """Look at a deployment live, and steer it by the keyboard: 1 to 5 choose a page, q leaves.

    Only instances that meet all conditions are shown; the figures are of the whole store.
    """
    if as_json:
        raise click.UsageError("--json is not for a screen; later stats --json has the figures")
    if find_spec("textual") is None:
        raise click.UsageError("later top needs Textual: pip install 'later-core[top]'")
    if interval is not None and interval < _SHORTEST:
        raise click.UsageError("--interval is at least 100ms")
    filter = build_filter(conditions)

    async def talk(client: Client) -> None:
        from later_core.cli.top.app import TopApp, has_screen
        from later_core.cli.top.board import Board

        # Said in one line before a screen is opened: a wrong address, certificate or token.
        await client.stats()
        if not has_screen():
            raise click.UsageError(
                "later top draws on a terminal, and its output is none;"
                " later stats and later watch write lines"
            )
        board = Board(filter)
        board.is_read_only = read_only
        app = TopApp(board, client, interval=interval or _INTERVAL)
        # A mouse is not needed, and without it the terminal's own selection works.
        await app.run_async(mouse=False)
        if app.return_code:
            raise click.exceptions.Exit(app.return_code)

    converse(top, talk)
