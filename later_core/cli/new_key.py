"""``later new-key``: a key for encryption at rest."""

from __future__ import annotations

import click

from later_core.cli.examples import Command
from later_core.model.encryption_key import new_key as make_key


@click.command(
    "new-key",
    cls=Command,
    examples=("later new-key 2026-11 >> keys",),
)
@click.argument("id")
def new_key(id: str) -> None:
    """Print a new key for LATER_ENCRYPTION_KEYS, written ID:base64.

    The ID is yours to choose (2026-11, say); no two keys may share one. Put the line
    into the file of keys: at its end to introduce it, at its top once every node has it.
    """
    try:
        click.echo(make_key(id))
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="ID") from None
