"""later export: a backup of everything, as it was at one moment."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import click

from later_core.cli.examples import Command
from later_core.cli.group import Top
from later_core.cli.options import build_filter, filter_options, server_options
from later_core.cli.output import print_json
from later_core.cli.progress import Bar
from later_core.cli.session import converse
from later_core.client.backup import BackupReader, BackupWriter
from later_core.client.backup_errors import BackupDamaged, BackupUnusable, Totals
from later_core.client.client import Client
from later_core.client.errors import RpcError
from later_core.client.transfer import export_backup, export_request

_SNAPSHOT_LOST = "SNAPSHOT_LOST"


@click.command(
    cls=Command,
    examples=(
        "later export everything.backup",
        "later export ended.backup --state failed --state aborted --only-instances",
        "later export - | gzip > everything.backup.gz",
    ),
)
@click.argument("file")
@filter_options
@click.option("--only-instances", is_flag=True, help="Without the schedules.")
@click.option("--resume", is_flag=True, help="Go on with an export to FILE that broke off.")
@click.option("--force", is_flag=True, help="Begin anew, and replace what FILE was.")
@server_options
@click.pass_obj
def export(
    top: Top,
    /,
    file: str,
    *,
    only_instances: bool,
    resume: bool,
    force: bool,
    as_json: bool,
    **conditions: Any,
) -> None:
    """Write a backup to FILE (-: standard output): the instances that meet all conditions, and all
    schedules, as they were at one moment while the service goes on.

    While it is being written it is FILE.part. An export that breaks off can go on for five minutes,
    as long as MongoDB remembers the moment: --resume.
    """
    request = export_request(build_filter(conditions), only_instances=only_instances)
    if resume and force:
        raise click.UsageError("give one of --resume and --force")
    if file == "-":
        if resume:
            raise click.UsageError("what went to standard output cannot be resumed")
        if sys.stdout.isatty():
            raise click.UsageError("a backup is no text: send standard output to a file or a pipe")
        totals = _export(top, BackupWriter(sys.stdout.buffer), request)
        sys.stdout.buffer.flush()
        click.echo(f"later: exported {totals}", err=True)
        return
    path = Path(file)
    part = path.with_name(path.name + ".part")
    _check_place(path, part, resume=resume, force=force)
    with _hint(path), _opened(part, resume=resume, force=force) as out:
        writer = _going_on(out, part, request) if resume else BackupWriter(out)
        totals = _export(top, writer, request)
        out.flush()
        os.fsync(out.fileno())
    part.replace(path)
    size = path.stat().st_size
    if as_json:
        print_json(
            {
                "file": file,
                "instances": totals.instances,
                "schedules": totals.schedules,
                "bytes": size,
            }
        )
    else:
        click.echo(f"exported {totals} to {file} ({size:,} bytes)")


def _export(top: Top, writer: BackupWriter, request: Any) -> Totals:
    with Bar("exporting") as bar:

        async def talk(client: Client) -> None:
            await export_backup(
                client, writer, request, told=bar.expect, reached=lambda t: bar.reach(t.instances)
            )

        converse(top, talk)
    return writer.totals


def _check_place(path: Path, part: Path, *, resume: bool, force: bool) -> None:
    """Nothing that is there is lost unless somebody said so."""
    if path.is_dir() or not path.parent.is_dir():
        why = "is a directory" if path.is_dir() else "is in a directory that does not exist"
        raise click.UsageError(f"{path} {why}; name a file that can be written")
    if resume and not part.exists():
        raise click.ClickException(f"there is no {part}: nothing to go on with")
    if path.exists() and not force:
        raise click.ClickException(f"{path} exists; --force replaces it")
    if part.exists() and not resume and not force:
        raise click.ClickException(
            f"{part} is there, from an export that broke off or is still going on:"
            " --resume goes on with it, --force begins anew"
        )


@contextmanager
def _opened(part: Path, *, resume: bool, force: bool) -> Iterator[IO[bytes]]:
    # Exclusively: of two exports to one file the second finds it taken.
    with part.open("r+b" if resume else "wb" if force else "xb") as out:
        yield out


def _going_on(out: IO[bytes], part: Path, request: Any) -> BackupWriter:
    """A writer behind the last whole block, and the request to be gone on with."""
    try:
        reader = BackupReader(out)
        if reader.request != request:
            raise click.ClickException(
                f"{part} was asked for with other conditions: repeat them, or begin anew (--force)"
            )
        with Bar("reading") as bar:
            for _ in reader.parts():
                bar.reach(reader.totals.instances)
    except BackupUnusable as error:
        raise click.ClickException(f"{part}: {error}; begin anew (--force)") from None
    except BackupDamaged:
        pass  # cut off, as it should be
    out.seek(reader.size)
    out.truncate()
    request.resume_token = reader.token
    return BackupWriter(out, behind=reader)


@contextmanager
def _hint(path: Path) -> Iterator[None]:
    """Whatever broke an export off, say how it can go on."""
    try:
        yield
    except (RpcError, OSError, click.exceptions.Exit) as error:
        if isinstance(error, RpcError) and error.reason == _SNAPSHOT_LOST:
            how = f"later export {path} --force begins anew"
        else:
            how = f"the export broke off; later export {path} --resume goes on, within five minutes"
        click.echo(f"later: {how}", err=True)
        raise
