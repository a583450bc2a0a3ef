"""``later crontab``: from cron to Later in one command, and back."""

from __future__ import annotations

import pwd
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import tzlocal

from later_core.cli.crontab.entry import Crontab, Form
from later_core.cli.crontab.form import form_of_path, form_of_text
from later_core.cli.crontab.importing import (
    Outcome,
    Result,
    create_all,
    read_only,
    show_outcomes,
    summary,
)
from later_core.cli.crontab.names import crontab_name
from later_core.cli.crontab.proposing import Wishes
from later_core.cli.crontab.reading import decode, read
from later_core.cli.crontab.writing import Written, write
from later_core.cli.examples import Group
from later_core.cli.failure import FAILED, say_error
from later_core.cli.group import Top
from later_core.cli.options import duration_option, labels_option, server_options
from later_core.cli.progress import Bar
from later_core.cli.session import converse
from later_core.client.client import Client
from later_core.errors import InvalidRequest
from later_core.model.instance import Delivery
from later_core.model.recurrence.zones import time_zone
from later_core.model.schedule import CatchUp, Overlap, Schedule, ScheduleFilter
from later_core.ports.clock import SystemClock

#: More than any crontab that a person wrote.
_MAX_BYTES = 4 * 1024 * 1024
#: What an id may begin with, see CreateScheduleRequest.
_PREFIX = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/+=-]*")


class _Word(click.Choice[Any]):
    """One of the words of an enum, as people write them: ``buffer-one``."""

    def __init__(self, words: Sequence[Any]) -> None:
        super().__init__([word.value.lower().replace("_", "-") for word in words])
        self._words = {word.value.lower().replace("_", "-"): word for word in words}

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not isinstance(value, str):
            return value
        return self._words[super().convert(value, param, ctx)]


def _zone(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    if value is not None:
        try:
            time_zone(value)
        except InvalidRequest as error:
            raise click.BadParameter(error.violations[0].description, ctx, param) from None
    return value


def _prefix(ctx: click.Context, param: click.Parameter, value: str) -> str:
    if value and not _PREFIX.fullmatch(value):
        raise click.BadParameter(f"{value!r} cannot stand in an id", ctx, param)
    return value


@click.group(
    cls=Group,
    examples=(
        "later crontab import crontab.txt --dry-run",
        "later crontab export",
    ),
)
def crontab() -> None:
    """Move from cron to Later, and back."""


@crontab.command(
    "import",
    short_help="Create a schedule for each line of a crontab.",
    examples=(
        "crontab -l | later crontab import - --user --name mine --dry-run",
        "later crontab import crontab.txt --system --tz Europe/Paris",
    ),
)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@click.option("--dry-run", is_flag=True, help="Only show each line with its next five times.")
@click.option("--system", is_flag=True, help="Its lines name a user before the command.")
@click.option(
    "--user",
    is_flag=True,
    help="They name none. [default: by the path or the content of the file]",
)
@click.option("--tz", callback=_zone, help="The time zone of cron. [default: that of this machine]")
@click.option("--name", help="What the crontab is called. [default: the name of the file]")
@click.option(
    "--prefix", default="", callback=_prefix, help="Put this before the id of each schedule."
)
@click.option(
    "--overlap",
    type=_Word(list(Overlap)),
    help="What if the run before has not ended. [default: allow, as cron]",
)
@click.option(
    "--catch-up",
    type=_Word(list(CatchUp)),
    help="Which missed times are made up for. [default: none, as cron]",
)
@click.option(
    "--delivery",
    type=_Word(list(Delivery)),
    help="What becomes of a run whose server dies. [default: at-most-once, as cron]",
)
@duration_option("--timeout", help="How long a run may take. [default: without limit, as cron]")
@labels_option(help="A label of all its schedules; may be repeated.")
@server_options
@click.pass_obj
def import_(
    top: Top, /, file: str, *, system: bool, user: bool, dry_run: bool, as_json: bool, **words: Any
) -> None:
    """Create a schedule for each line of the crontab FILE; - reads stdin.

    Nothing is created twice: the same import again changes nothing. Lines that cannot be taken over are
    named with the reason, all others are created; the exit code is then 1.
    """
    if system and user:
        raise click.UsageError("give one of --system and --user, not both")
    asked = Form.SYSTEM if system else Form.USER if user else None
    crontab, wishes = _read(file, asked, **words)
    _say_notes(crontab)
    outcomes = read_only(crontab, wishes)
    if not dry_run:
        outcomes = _create(top, outcomes)
    show_outcomes(outcomes, SystemClock().now(), as_json=as_json)
    refused = sum(outcome.result is Result.REFUSED for outcome in outcomes)
    if refused:
        lines = "1 line" if refused == 1 else f"{refused} lines"
        say_error(f"{summary(outcomes)}: {lines} of {wishes.name} not taken over")
        raise click.exceptions.Exit(FAILED)
    click.echo(f"later: {summary(outcomes)}", err=True)


@crontab.command(
    "export",
    short_help="Print the schedules as a crontab.",
    examples=(
        "later crontab export > crontab.txt",
        "later crontab export backups --system --owner root",
    ),
)
@click.argument("name", required=False)
@click.option("--system", is_flag=True, help="With a user before each command, for /etc/cron.d.")
@click.option(
    "--owner", help="With --system: the user of schedules that name none by their label user."
)
@labels_option(help="Only schedules with this label; may be repeated.")
@click.pass_obj
def export(
    top: Top, /, name: str | None, *, system: bool, owner: str | None, labels: dict[str, str]
) -> None:
    """Print the schedules as a crontab: all, or those imported from the crontab NAME.

    What cron cannot say stands in comments, which an import reads; schedules that cron cannot run are
    comments too, with the reason.
    """
    filter = ScheduleFilter(labels={**labels, "crontab": name} if name else labels)

    async def talk(client: Client) -> Sequence[Schedule]:
        return [listed.schedule async for listed in client.list_schedules(filter)]

    written = write(converse(top, talk), Form.SYSTEM if system else Form.USER, owner=owner)
    click.echo(written.text, nl=False)
    _say_left_out(written)


def _create(top: Top, lines: Sequence[Outcome]) -> Sequence[Outcome]:
    outcomes: list[Outcome] = []

    async def talk(client: Client) -> None:
        async for outcome in create_all(client, lines):
            outcomes.append(outcome)
            bar.reach(len(outcomes))

    with Bar("importing") as bar:
        bar.expect(len(lines))
        converse(top, talk)
    return outcomes


def _read(
    file: str, form: Form | None, *, tz: str | None, name: str | None, **words: Any
) -> tuple[Crontab, Wishes]:
    try:
        with click.open_file(file, "rb") as opened:
            content = opened.read(_MAX_BYTES + 1)
    except OSError as error:
        raise click.UsageError(f"{file}: {error.strerror}") from None
    if len(content) > _MAX_BYTES:
        raise click.UsageError(f"{file} is longer than {_MAX_BYTES:,} bytes: no crontab")
    text = decode(content)
    path = "" if file == "-" else str(Path(file).absolute())
    form = form or form_of_path(path) or form_of_text(text, is_account=_is_account)
    if form is None:
        raise click.UsageError(
            f"{file}: it cannot be seen whether its lines name a user before the command;"
            " give --system (they do) or --user (they do not)"
        )
    wishes = Wishes(
        name=crontab_name(name or path),
        time_zone=tz or _own_zone(),
        **{key: value for key, value in words.items() if value},
    )
    return read(text, form, wishes.time_zone), wishes


def _own_zone() -> str:
    """The time zone of this machine, which cron goes by."""
    try:
        name = str(tzlocal.get_localzone_name())
        time_zone(name)
    except (InvalidRequest, LookupError, OSError, ValueError):
        raise click.UsageError(
            "the time zone of this machine has no IANA name; say it: --tz Europe/Paris"
        ) from None
    return name


def _is_account(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def _say_notes(crontab: Crontab) -> None:
    """On stderr, so that the answer of a program is what it asked for."""
    for note in crontab.notes:
        where = f"line {note.line}: " if note.line else ""
        click.echo(f"later: note: {where}{note.text}", err=True)
    users = sorted({entry.user for entry in crontab.entries if entry.user})
    if users:
        click.echo(
            f"later: note: under cron its commands run as {', '.join(users)}; Later does not switch"
            " users, they run as the user of the server",
            err=True,
        )


def _say_left_out(written: Written) -> None:
    left_out = f", {len(written.left_out)} as comments with the reason" if written.left_out else ""
    click.echo(f"later: {len(written.ids)} written{left_out}", err=True)
