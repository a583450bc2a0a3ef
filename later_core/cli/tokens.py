"""``later tokens``: make, list and revoke what lets callers in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar

import click

from later_core.cli.examples import Group
from later_core.cli.group import Top
from later_core.cli.options import labels_option, server_options
from later_core.cli.output import print_json, print_table
from later_core.cli.session import converse
from later_core.cli.times import relative
from later_core.client.client import Client
from later_core.client.records import created_token_record, token_record
from later_core.model.duration import parse_duration
from later_core.model.permission import Role
from later_core.model.quota import Quota, parse_create_rate, parse_max_pending
from later_core.model.rate import RateLimit
from later_core.model.scope import Scope
from later_core.model.token import NewToken, Token
from later_core.ports.clock import SystemClock

_COLUMNS = (
    *("ID", "NAME", "ROLES", "PERMISSIONS", "EXPIRES", "STATUS", "MADE BY"),
    *("RATE", "MAX PENDING", "CONFINED TO"),
)
_NEVER = "never"
_F = TypeVar("_F", bound=Callable[..., Any])


@click.group(
    cls=Group,
    examples=("later tokens create nightly --role scheduler --expires-in 30d > token",),
)
def tokens() -> None:
    """Make, list and revoke tokens: what callers show to be let in."""


def _lifetime(_: click.Context, __: click.Parameter, text: str) -> timedelta | None:
    if text == _NEVER:
        return None
    try:
        return parse_duration(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def _quota_option(*names: str, parse: Callable[[str], Any], **options: Any) -> Callable[[_F], _F]:
    def read(_: click.Context, __: click.Parameter, text: str | None) -> Any:
        try:
            return None if text is None else parse(text)
        except ValueError as error:
            raise click.BadParameter(str(error)) from None

    return click.option(*names, callback=read, **options)


@tokens.command(
    short_help="Make a token, and print its secret.",
    examples=(
        "later tokens create dashboard --role viewer > token",
        "later tokens create web --role scheduler --task 'http-*' --label 'team=web-*'",
        "later tokens create deploy --role operator --permission run-bash --expires-in 12h",
        "later tokens create batch --role scheduler --rate 100/1s --max-pending 50000",
    ),
)
@click.argument("name")
@click.option(
    "--role",
    "roles",
    type=click.Choice([role.value for role in Role]),
    multiple=True,
    required=True,
    help="What its holder may do; may be repeated. Each has the permissions of the one before it.",
)
@click.option(
    "--task",
    "tasks",
    multiple=True,
    metavar="PATTERN",
    help="Confine it to tasks that match, as http-*; may be repeated: any of them.",
)
@labels_option(
    help="Confine it to what has this label, as team=web-*; may be repeated: all of them."
)
@click.option(
    "--permission",
    "permissions",
    multiple=True,
    metavar="NAME",
    help="A permission that a task needs for itself, as run-bash; may be repeated.",
)
@click.option(
    "--expires-in",
    "lifetime",
    default="90d",
    show_default=True,
    callback=_lifetime,
    metavar="DURATION",
    help="How long it is valid: 12h, 30d, or never to end.",
)
@_quota_option(
    "--rate",
    "create_rate",
    parse=parse_create_rate,
    metavar="RATE",
    help="Hold it to this rate of creates by each server: 10/s+100, or none; else as the settings say.",
)
@_quota_option(
    "--max-pending",
    parse=parse_max_pending,
    metavar="N",
    help="Let so many instances of NAME be pending at a time, or none for any; else as the settings say.",
)
@server_options
@click.pass_obj
def create(
    top: Top,
    /,
    name: str,
    *,
    roles: Sequence[str],
    tasks: Sequence[str],
    labels: dict[str, str],
    permissions: Sequence[str],
    lifetime: timedelta | None,
    as_json: bool,
    **quota: Any,
) -> None:
    """Make a token called NAME, and print its secret: the only sight of it.

    NAME stands on everything its holder creates, and in the audit log.
    """
    new = NewToken(
        name=name,
        roles=tuple(dict.fromkeys(Role(role) for role in roles)),
        tasks=tuple(tasks),
        labels=labels,
        permissions=tuple(permissions),
        quota=Quota(**quota),
    )
    token, secret = converse(top, lambda client: client.create_token(new, lifetime=lifetime))
    if as_json:
        print_json(created_token_record(token, secret))
        return
    # The secret alone on stdout, so that it can be redirected into a file.
    click.echo(f"token {token.id}, {_expiry(token, SystemClock().now())}; its secret:", err=True)
    click.echo(secret)


@tokens.command(
    "list",
    short_help="List the tokens.",
    examples=("later tokens list",),
)
@server_options
@click.pass_obj
def list_(top: Top, *, as_json: bool) -> None:
    """List the tokens that are valid, and for a month those that no longer are."""
    found = converse(top, _all)
    if as_json:
        for token in found:
            print_json(token_record(token))
        return
    now = SystemClock().now()
    print_table(_COLUMNS, [_row(token, now) for token in found], prose=True)


@tokens.command(
    short_help="Make a token worthless.",
    examples=("later tokens revoke 5f2b8c01d4a37e96",),
)
@click.argument("id")
@server_options
@click.pass_obj
def revoke(top: Top, id: str, *, as_json: bool) -> None:
    """Make the token ID worthless, on every node within about three seconds."""
    token = converse(top, lambda client: client.revoke_token(id))
    if as_json:
        print_json(token_record(token))
    else:
        click.echo(f"{id}: revoked")


async def _all(client: Client) -> list[Token]:
    return [token async for token in client.tokens()]


def _row(token: Token, now: datetime) -> Sequence[str]:
    return (
        token.id,
        token.name,
        ", ".join(token.roles),
        ", ".join(token.permissions),
        relative(token.expire_time, now) if token.expire_time else _NEVER,
        _status(token, now),
        token.principal,
        _said(token.quota.create_rate),
        _said(token.quota.max_pending),
        str(Scope(tasks=token.tasks, labels=token.labels)),
    )


def _said(quota: RateLimit | int | str | None) -> str:
    return "" if quota is None else str(quota)


def _status(token: Token, now: datetime) -> str:
    if token.revoke_time is not None:
        return "revoked"
    return "valid" if token.is_valid(now) else "expired"


def _expiry(token: Token, now: datetime) -> str:
    if token.expire_time is None:
        return "valid until it is revoked"
    return f"expires {relative(token.expire_time, now)}"
