"""Options that several commands share, and how their words become values."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import reduce
from typing import Any, TypedDict, TypeVar

import click

from later_core.cli.group import CONNECTION_FLAGS, CONNECTION_OPTIONS, Top
from later_core.cli.times import When, parse_instant, parse_when
from later_core.model.duration import parse_duration
from later_core.model.query import Filter
from later_core.model.state import State
from later_core.ports.clock import SystemClock

_T = TypeVar("_T")
_F = TypeVar("_F", bound=Callable[..., Any])
_TIME_HELP = "ISO 8601, '5m', 'in 5 minutes' or 'tomorrow 09:00'; without a zone it is local time"


def _said(parse: Callable[[str], _T]) -> Callable[[str], _T]:
    """A parser whose ValueError becomes click's own complaint, with the name of the option."""

    def read(text: str) -> _T:
        try:
            return parse(text)
        except ValueError as error:
            raise click.BadParameter(str(error)) from None

    return read


def _parse_label(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise ValueError(f"{text!r} is not key=value")
    return key, value


class WholeNumber(click.IntRange):
    """Called what people call it: click would say ``integer range``, in the help and in complaints."""

    name = "number"


class Number(click.FloatRange):
    """As ``WholeNumber``, with a fraction."""

    name = "number"


_WHEN = _said(lambda text: parse_when(text, SystemClock().now()))
_INSTANT = _said(lambda text: parse_instant(text, SystemClock().now()))
_DURATION = _said(parse_duration)
_LABEL = _said(_parse_label)


def duration_option(*names: str, help: str) -> Callable[[_F], _F]:
    """An option whose value is a length of time."""
    return click.option(*names, type=_DURATION, metavar="DURATION", help=help)


def instant_option(*names: str, help: str) -> Callable[[_F], _F]:
    """An option whose value is an instant."""
    return click.option(*names, type=_INSTANT, metavar="TIME", help=help)


def _distinct(
    _: click.Context, __: click.Parameter, labels: tuple[tuple[str, str], ...]
) -> dict[str, str]:
    """Of two values for one key the first would be lost without a word."""
    found: dict[str, str] = {}
    for key, value in labels:
        if found.setdefault(key, value) != value:
            raise click.BadParameter(f"{key!r} is given twice, as {found[key]!r} and {value!r}")
    return found


def labels_option(*, help: str) -> Callable[[_F], _F]:
    """``--label key=value``, which may be repeated; the command gets a dict."""
    return click.option(
        "--label",
        "labels",
        type=_LABEL,
        metavar="KEY=VALUE",
        multiple=True,
        callback=_distinct,
        help=help,
    )


json_option = click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="JSON, one object a line, with the names of the .proto in lowerCamelCase.",
)


def _set_flag(ctx: click.Context, option: click.Parameter, value: str | bool | None) -> None:
    if value is not None:
        before = ctx.obj.flags if isinstance(ctx.obj, Top) else {}
        ctx.obj = Top(flags={**before, option.name: value})


def server_options(command: _F) -> _F:
    """``--json`` and, as people write it behind the command too, ``--address``."""
    return all_of(
        command,
        json_option,
        click.option(
            "--address",
            metavar="HOST:PORT",
            expose_value=False,
            callback=_set_flag,
            help="The server to talk to, as before the command.",
        ),
        *(
            click.option(
                name,
                is_flag=name in CONNECTION_FLAGS,
                default=None,
                expose_value=False,
                callback=_set_flag,
                hidden=True,  # the help of ``later`` itself shows them
            )
            for name in CONNECTION_OPTIONS
        ),
    )


def due_options(command: _F) -> _F:
    """``--at`` and ``--in``; ``due`` reads them."""
    return all_of(
        command,
        click.option("--at", type=_WHEN, metavar="TIME", help=f"When it is due: {_TIME_HELP}."),
        duration_option("--in", "in_", help="How long from now it is due: 30s, 1h30m."),
    )


class Due(TypedDict):
    """At most one of the two is set; neither means now."""

    execution_time: datetime | None
    delay: timedelta | None


def due(at: When | None, in_: timedelta | None) -> Due:
    """What ``--at`` and ``--in`` say together."""
    if at is not None and in_ is not None:
        raise click.UsageError("give one of --at and --in, not both")
    when = at if at is not None else in_
    if isinstance(when, datetime):
        return Due(execution_time=when, delay=None)
    return Due(execution_time=None, delay=when)


def filter_options(command: _F) -> _F:
    """The conditions on instances; ``build_filter`` reads them."""
    return all_of(
        command,
        click.option(
            "--state",
            "states",
            type=click.Choice(State, case_sensitive=False),
            multiple=True,
            help="In this state; may be repeated: any of them.",
        ),
        click.option("--task", "tasks", multiple=True, help="Of this task; may be repeated."),
        click.option(
            "--from",
            "start_time",
            type=_INSTANT,
            metavar="TIME",
            help=f"Due at or after this time: {_TIME_HELP}.",
        ),
        click.option(
            "--until", "end_time", type=_INSTANT, metavar="TIME", help="Due before this time."
        ),
        labels_option(help="With this label; may be repeated: all of them."),
        click.option("--schedule", "schedule_id", help="Created by this schedule."),
    )


def build_filter(conditions: dict[str, Any]) -> Filter:
    """The filter that the values of ``filter_options`` say; takes them out of ``conditions``."""
    return Filter(
        states=frozenset(conditions.pop("states")),
        tasks=frozenset(conditions.pop("tasks")),
        start_time=conditions.pop("start_time"),
        end_time=conditions.pop("end_time"),
        labels=conditions.pop("labels"),
        schedule_id=conditions.pop("schedule_id"),
    )


def all_of(command: _F, *options: Callable[[_F], _F]) -> _F:
    """The command with these options, which its help shows in this order."""
    return reduce(lambda decorated, option: option(decorated), reversed(options), command)
