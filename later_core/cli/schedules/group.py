"""The group ``later schedules``: its commands, in the order in which people meet them."""

from __future__ import annotations

import click

from later_core.cli.schedules.calendar import calendar
from later_core.cli.schedules.changing import (
    backfill,
    create,
    delete,
    pause,
    resume,
    trigger,
    update,
)
from later_core.cli.schedules.reading import list_, preview, show


class _InOrder(click.Group):
    """Its help lists the commands as they were added, and not by the alphabet."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)


@click.group(cls=_InOrder)
def schedules() -> None:
    """Run tasks again and again: by cron expressions, intervals, calendars, times."""


for command in (
    preview,
    create,
    list_,
    show,
    calendar,
    pause,
    resume,
    trigger,
    backfill,
    update,
    delete,
):
    schedules.add_command(command)
