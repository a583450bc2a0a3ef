"""The group ``later schedules``: its commands, in the order in which people meet them."""

from __future__ import annotations

import click

from later_core.cli.examples import Group
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


@click.group(
    cls=Group,
    examples=(
        "later schedules preview '30 2 * * *' --tz Europe/Paris",
        "later schedules create echo 'good night' --cron '30 2 * * *' --id nightly",
        "later schedules list",
    ),
)
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
