"""``later rekey``: everything stored, encrypted with the newest key."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import click

from later_core.cli.examples import Command
from later_core.cli.installation import config_option, prepare, set_option
from later_core.cli.progress import Bar
from later_core.cli.session import run
from later_core.settings import assignments
from later_core.telemetry.logs import configure_logging


@click.command(
    cls=Command,
    examples=("LATER_ENCRYPTION_KEYS=/etc/later/keys later rekey",),
)
@set_option
@config_option
def rekey(assigned: Sequence[str], config: Path | None) -> None:
    """Encrypt everything stored with the first of LATER_ENCRYPTION_KEYS.

    It goes to the database itself, with the settings of the server (LATER_MONGODB_URI), while servers
    run or not; to an embedded database only while they do not. What was stored in clear is encrypted
    too. Exit code 1 says that something was left; the log names it. It can be repeated at any time.
    """
    from later_core.app.database import rekey as rekey_all

    catalog, settings = prepare(assignments(assigned), config)
    configure_logging(verbose=0, format="auto", stream=sys.stderr)
    with Bar("encrypting") as bar:

        def tell(examined: int, total: int) -> None:
            bar.expect(total)
            bar.reach(examined)

        done = run(rekey_all(settings, catalog, tell=tell))
    click.echo(f"encrypted anew: {done.written:,}; left as they were: {done.left:,}")
    if done.left:
        raise click.exceptions.Exit(1)
