"""The group ``later plugin``."""

from __future__ import annotations

import click

from later_core.cli.examples import Group
from later_core.cli.plugin.new import new


@click.group(cls=Group, examples=("later plugin new hello",))
def plugin() -> None:
    """Begin a plugin of your own."""


plugin.add_command(new)
