"""``later audit``: who asked for what, and what became of it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import aclosing
from datetime import datetime

import click

from later_core.cli.examples import Command
from later_core.cli.group import Top
from later_core.cli.options import WholeNumber, instant_option, server_options
from later_core.cli.output import print_json, print_table
from later_core.cli.session import converse
from later_core.cli.times import iso
from later_core.client.client import Client
from later_core.client.records import audit_entry_record
from later_core.model.audit import AuditEntry, AuditFilter

_COLUMNS = ("TIME", "PRINCIPAL", "METHOD", "TARGET", "OUTCOME", "COUNT", "PEER")
_PAGE = 1_000


@click.command(
    cls=Command,
    examples=(
        "later audit --since '1h ago'",
        "later audit --principal nightly --method AbortInstance --limit 20 --json",
    ),
)
@click.option("--principal", help="Asked by this one.")
@click.option(
    "--method", "methods", multiple=True, help="This RPC, as AbortInstance; may be repeated."
)
@click.option("--target", metavar="ID", help="About this instance, schedule, token or node.")
@click.option(
    "--outcome",
    "outcomes",
    multiple=True,
    help="With this outcome, as PERMISSION_DENIED; may be repeated.",
)
@instant_option("--since", help="Since this time.")
@instant_option("--until", help="Before this time.")
@click.option(
    "--limit", type=WholeNumber(min=1), default=100, show_default=True, help="At most so many."
)
@server_options
@click.pass_obj
def audit(
    top: Top,
    *,
    principal: str | None,
    methods: Sequence[str],
    target: str | None,
    outcomes: Sequence[str],
    since: datetime | None,
    until: datetime | None,
    limit: int,
    as_json: bool,
) -> None:
    """Show entries of the audit log, the newest first: who asked for what, and what became of it."""
    filter = AuditFilter(
        principal=principal,
        methods=frozenset(methods),
        target=target,
        outcomes=frozenset(outcomes),
        start_time=since,
        end_time=until,
    )
    found = converse(top, lambda client: _first(client, filter, limit))
    if as_json:
        for entry in found:
            print_json(audit_entry_record(entry))
        return
    print_table(_COLUMNS, [_row(entry) for entry in found])


async def _first(client: Client, filter: AuditFilter, limit: int) -> list[AuditEntry]:
    found: list[AuditEntry] = []
    async with aclosing(client.audit(filter, page_size=min(limit, _PAGE))) as entries:
        async for entry in entries:
            found.append(entry)
            if len(found) == limit:
                break
    return found


def _row(entry: AuditEntry) -> Sequence[str]:
    return (
        iso(entry.time),
        entry.principal or "-",
        entry.method or "-",
        entry.target,
        entry.outcome,
        f"{entry.count:,}",
        entry.peer,
    )
