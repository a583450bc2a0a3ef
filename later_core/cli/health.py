"""``later health``: what a supervisor asks again and again."""

from __future__ import annotations

import click

from later_core.cli.examples import Command
from later_core.cli.failure import FAILED
from later_core.cli.group import Top
from later_core.cli.options import server_options
from later_core.cli.output import print_json
from later_core.cli.session import converse


@click.command(
    cls=Command,
    examples=(
        "later health",
        "later --address later.example:9081 --tls health",
    ),
)
@server_options
@click.pass_obj
def health(top: Top, *, as_json: bool) -> None:
    """Say whether a server serves: its database answers and its loop runs. Exit code 1 if not.

    For the health check of a container, where the probe must speak TLS.
    """
    serves = converse(top, lambda client: client.health())
    status = "SERVING" if serves else "NOT_SERVING"
    if as_json:
        print_json({"status": status})
    else:
        click.echo(status)
    if not serves:
        raise click.exceptions.Exit(FAILED)
