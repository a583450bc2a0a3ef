"""``later plugin new``: a distribution that works, to be changed into one's own."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

import click

from later_core.cli.examples import Command
from later_core.cli.plugin.naming import Names, names_from
from later_core.cli.plugin.tree import kinds, tree, write


@click.command(
    cls=Command,
    examples=("later plugin new greet", "later plugin new alarm --kind event --directory alarm"),
)
@click.argument("name")
@click.option(
    "--directory",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Where to write it, an empty folder or none yet; else later-plugin-NAME.",
)
@click.option(
    "--kind",
    type=click.Choice(kinds()),
    default="task",
    show_default=True,
    help="What it is for: a task to run, or to hear of events.",
)
def new(name: str, directory: Path | None, kind: str) -> None:
    """Write a plugin that works: the distribution later-plugin-NAME, with tests that pass.

    It needs no server and touches none.
    """
    try:
        names = names_from(name)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="NAME") from None
    folder = directory or Path(names.distribution)
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise click.UsageError(
            f"{folder} is there and is no empty folder; name another with --directory"
        )
    for warning in _warnings(names, kind):
        click.echo(f"later: warning: {warning}", err=True)
    write(tree(names, kind), folder)
    click.echo(f"{names.distribution} is in {folder}. Next:\n")
    for command in _next(folder, names, kind):
        click.echo(f"    {command}")


def _next(folder: Path, names: Names, kind: str) -> Iterator[str]:
    yield f"cd {shlex.quote(str(folder))}"
    yield "python -m pip install --editable . --group dev"
    yield "pytest"
    yield "ruff check && ruff format --check && mypy"
    yield "later plugins"
    yield "later serve"
    if kind == "task":
        yield f"""later create {names.name} '{{"name": "Ada"}}' --wait"""


def _warnings(names: Names, kind: str) -> Iterator[str]:
    from later_core.catalog import Catalog

    catalog = Catalog.discover()
    catalog.collect({setting.name: setting.default for setting in catalog.settings})
    known = catalog.get(names.name) if kind == "task" else None
    if known is not None:
        yield (
            f"a task {names.name} is installed here already, by {known.distribution}: of two plugins"
            " with a task of one name a server uses neither"
        )
