"""later import: a backup into a service, whatever is there already."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

import click

from later_core.cli.examples import Command
from later_core.cli.group import Top
from later_core.cli.options import WholeNumber, server_options
from later_core.cli.output import print_json
from later_core.cli.progress import Bar
from later_core.cli.session import converse
from later_core.client.backup import BackupReader, Source
from later_core.client.backup_errors import BackupDamaged, BackupUnusable, Totals
from later_core.client.client import Client
from later_core.client.errors import RpcError
from later_core.client.transfer import ImportChoices, ImportTally, import_backup


@click.command(
    "import",
    cls=Command,
    examples=(
        "later import everything.backup --dry-run",
        "later import everything.backup --paused",
        "gunzip < everything.backup.gz | later import -",
    ),
)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@click.option("--dry-run", is_flag=True, help="Change nothing; say what would be done.")
@click.option("--only-ended", is_flag=True, help="The history alone: nothing of it will start.")
@click.option("--paused", is_flag=True, help="Pause the schedules that are imported.")
@click.option(
    "--replace",
    is_flag=True,
    help="Replace what is stored under an id and is another one or older; what runs is kept.",
)
@click.option("--partial", is_flag=True, help="Import the good parts of a file that is damaged.")
@click.option(
    "--from-part",
    type=WholeNumber(min=1),
    default=1,
    help="Leave out the parts before this one: an import that broke off says which.",
)
@server_options
@click.pass_obj
def import_(
    top: Top,
    /,
    file: str,
    *,
    dry_run: bool,
    only_ended: bool,
    paused: bool,
    replace: bool,
    partial: bool,
    from_part: int,
    as_json: bool,
) -> None:
    """Restore the backup FILE (-: standard input). What is there already is left alone, so that an
    import can be repeated.

    What is PENDING and overdue is started soon. What was RUNNING is started again or FAILED, as its
    delivery says. FILE is read to its end and checked before anything is sent.
    """
    choices = ImportChoices(
        validate_only=dry_run, replace=replace, only_ended=only_ended, pause_schedules=paused
    )
    tally = ImportTally()
    with _source(file) as source:
        whole = None
        if file != "-":
            whole = _checked(file, cast("IO[bytes]", source), partial=partial)
        with _hint(file, tally), Bar("importing") as bar:
            bar.expect(whole.instances if whole else 0)
            _import(top, source, choices, tally, bar, first_part=from_part, partial=partial)
    _show(tally, dry_run=dry_run, as_json=as_json)
    if tally.failed:
        _say_failures(tally)
        raise click.exceptions.Exit(1)


def _import(
    top: Top,
    source: Source,
    choices: ImportChoices,
    tally: ImportTally,
    bar: Bar,
    *,
    first_part: int,
    partial: bool,
) -> None:
    reader = BackupReader(source)

    async def talk(client: Client) -> None:
        await import_backup(
            client, reader, choices, tally, first_part=first_part, reached=bar.reach
        )

    try:
        converse(top, talk)
    except BackupDamaged as error:
        if not partial:
            raise
        click.echo(f"later: warning: {error}; that is imported", err=True)


@contextmanager
def _source(file: str) -> Iterator[Source]:
    try:
        if file == "-":
            if sys.stdin.isatty():
                raise click.UsageError("a backup is no text: give a file, or a pipe")
            yield sys.stdin.buffer
            return
        with Path(file).open("rb") as source:
            yield source
    except (BackupUnusable, BackupDamaged) as error:
        raise click.ClickException(f"{file}: {error}") from None


def _checked(file: str, source: IO[bytes], *, partial: bool) -> Totals:
    """What the file holds, once it has been read to its end."""
    with Bar("checking") as bar:
        reader = BackupReader(source)
        try:
            for _ in reader.parts():
                bar.reach(reader.totals.instances)
        except BackupDamaged as error:
            if not partial:
                raise click.ClickException(
                    f"{file}: {error}; nothing was imported, and --partial imports what is good"
                ) from None
    source.seek(0)
    return reader.totals


@contextmanager
def _hint(file: str, tally: ImportTally) -> Iterator[None]:
    """Whatever broke an import off, say how it can go on."""
    try:
        yield
    except (RpcError, OSError, click.exceptions.Exit):
        if file != "-":
            click.echo(
                f"later: the import broke off behind part {tally.parts:,};"
                f" later import {file} --from-part {tally.parts + 1} goes on (or import it again)",
                err=True,
            )
        raise


def _show(tally: ImportTally, *, dry_run: bool, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "instances": dict(tally.instances),
                "schedules": dict(tally.schedules),
                "failed": tally.failed,
                "dryRun": dry_run,
            }
        )
        return
    would = "would be " if dry_run else ""
    for name, counts in (("instances", tally.instances), ("schedules", tally.schedules)):
        click.echo(f"{name}: {_told(counts, would)}")
    if recovered := tally.instances["recovered"]:
        click.echo(f"of these {recovered:,} were RUNNING: their nodes count as dead")


def _told(counts: Counter[str], would: str) -> str:
    words = {
        "imported": f"{would}imported",
        "replaced": f"{would}replaced",
        "existing": "there already",
        "left_out": "left out",
    }
    told = [f"{counts[key]:,} {word}" for key, word in words.items() if counts[key]]
    return ", ".join(told) or "none"


def _say_failures(tally: ImportTally) -> None:
    for id, is_schedule, error in tally.failures:
        kind = "schedule" if is_schedule else "instance"
        click.echo(f"later: {kind} {id!r} was not imported: {error}", err=True)
    if tally.failed > len(tally.failures):
        click.echo(
            f"later: and {tally.failed - len(tally.failures):,} more were not imported", err=True
        )
