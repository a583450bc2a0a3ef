"""``later whoami``: who the caller is to a server, and what it may do and take."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import click

from later_core.cli.examples import Command
from later_core.cli.group import Top
from later_core.cli.options import server_options
from later_core.cli.output import print_details, print_json
from later_core.cli.session import converse
from later_core.cli.times import iso, relative
from later_core.client.records import standing_record
from later_core.model.principal import Means
from later_core.model.standing import Standing
from later_core.ports.clock import SystemClock

_NOBODY = (
    "nobody is authenticated: the server asks no one who he is, and everybody may do everything"
)
_MEANS = {
    Means.ADMIN_TOKEN: "the admin token of the server's settings",
    Means.CERTIFICATE: "a client certificate",
    Means.JWT: "a JWT",
}


@click.command(
    cls=Command,
    examples=(
        "later whoami",
        "later whoami --json",
    ),
)
@server_options
@click.pass_obj
def whoami(top: Top, *, as_json: bool) -> None:
    """Show who you are to the server that answers, how it knows, and what you may do and take."""
    standing = converse(top, lambda client: client.who_am_i())
    if as_json:
        print_json(standing_record(standing))
        return
    if standing.principal.credential.means is Means.NONE:
        click.echo(_NOBODY)
        print_details(_bounds(standing))
        return
    print_details([*_identity(standing, SystemClock().now()), *_bounds(standing)])


def _identity(standing: Standing, now: datetime) -> Iterable[tuple[str, str]]:
    who, shown = standing.principal, standing.principal.credential
    yield "principal", who.name
    yield "known by", _MEANS.get(shown.means) or f"token {shown.token_id}"
    if shown.expire_time is not None:
        yield "expires", f"{iso(shown.expire_time)} ({relative(shown.expire_time, now)})"
    yield "roles", ", ".join(who.roles) or "none"
    yield "permissions", ", ".join(sorted(who.permissions)) or "none"
    yield "confined to", str(who.scope)


def _bounds(standing: Standing) -> Iterable[tuple[str, str]]:
    rate, most = standing.create_rate, standing.max_pending
    yield "create rate", "unbounded" if rate is None else f"{rate}, by each server"
    yield "max pending", "unbounded" if most is None else f"{most:,}"
