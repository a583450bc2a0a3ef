"""``later serve``: the server, from the flags to the signals."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import structlog

from later_core.cli.examples import Command
from later_core.cli.failure import INTERRUPTED
from later_core.cli.installation import config_option, prepare, set_option
from later_core.cli.session import ending_signals, run
from later_core.settings import (
    CLIENT_SETTINGS,
    NO_FLAG,
    PEM_SETTINGS,
    Settings,
    assignments,
    flag_name,
)
from later_core.telemetry.logs import configure_logging

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence

    from later_core.catalog import Catalog

    #: Serves until the event is set, having told its address; answers the exit code.
    _Serving = Callable[[Callable[[str], None], asyncio.Event], Awaitable[int]]

_log = structlog.get_logger(__name__)

#: Given once for all commands, or of no use to a server.
_NOT_FLAGS = CLIENT_SETTINGS | NO_FLAG | {"config"}
_KINDS = {"Path": "DIRECTORY", "int": "NUMBER", "timedelta": "DURATION"}


def _setting_flags() -> list[click.Parameter]:
    """A flag for each setting; their values are checked where those of all sources are."""
    return [
        click.Option(
            [flag_name(name)],
            metavar=None if field.annotation is bool else _kind(name, str(field.annotation)),
            is_flag=field.annotation is bool,
            default=None,
            help=field.description,
        )
        for name, field in Settings.model_fields.items()
        if field.description and name not in _NOT_FLAGS
    ]


def _kind(name: str, annotation: str) -> str:
    if name in PEM_SETTINGS:
        return "FILE"
    return next((kind for word, kind in _KINDS.items() if word in annotation), "TEXT")


@click.command(
    params=_setting_flags(),
    cls=Command,
    examples=(
        "later serve",
        "later serve --mongodb-uri 'mongodb://db1,db2,db3/?replicaSet=rs0' --nodes 4",
        "later serve --set bash_enabled=true --recurrence 1m --time-ahead 2m",
    ),
)
@set_option
@config_option
def serve(assigned: Sequence[str], config: Path | None, **flags: str | bool | None) -> None:
    """Run the server until SIGTERM or Ctrl-C; a second one cuts short what still runs.

    Without --mongodb-uri it starts a MongoDB of its own. Every flag can also be given as a variable
    (LATER_LISTEN) or in the TOML file: later settings shows them all.
    """
    given = {**flags, **assignments(assigned)}
    catalog, settings = prepare(given, config)
    configure_logging(verbose=settings.verbose, format=settings.log_format, stream=sys.stderr)
    for warning in settings.warnings:
        _log.warning("unknown variable", detail=warning)
    if settings.nodes > 1:
        code = run(_until_signalled(_several(settings, catalog, given, config)))
        raise click.exceptions.Exit(code)
    _run_node(catalog, settings, _until_signalled(_one(settings, catalog)))


def serve_one(
    given: Mapping[str, Any], config: Path | None, say_ready: Callable[[str], None]
) -> None:
    """Be one of several nodes that share a port; they log under the number of their process."""
    catalog, settings = prepare(given, config)
    configure_logging(verbose=settings.verbose, format=settings.log_format, stream=sys.stderr)
    structlog.contextvars.bind_contextvars(process=os.getpid())
    serving = _one(settings, catalog, shares_port=True)
    _run_node(catalog, settings, _until_signalled(serving, say_ready))


def _run_node(catalog: Catalog, settings: Settings, serving: Coroutine[Any, Any, int]) -> None:
    from later_core.app.allocator import give_back_large_blocks
    from later_core.app.event_loop import new_event_loop
    from later_core.app.garbage import collect_seldom

    catalog.collect(settings.plugins)
    give_back_large_blocks()
    collect_seldom()
    run(serving, new_event_loop)


def _one(settings: Settings, catalog: Catalog, *, shares_port: bool = False) -> _Serving:
    from later_core.app import serve as serve_until

    async def serving(ready: Callable[[str], None], stop: asyncio.Event) -> int:
        await serve_until(settings, catalog, ready=ready, stop=stop, shares_port=shares_port)
        return 0

    return serving


def _several(
    settings: Settings, catalog: Catalog, given: Mapping[str, Any], config: Path | None
) -> _Serving:
    from later_core.app.several import serve_several
    from later_core.cli.child import recipe

    async def serving(ready: Callable[[str], None], stop: asyncio.Event) -> int:
        return await serve_several(
            settings,
            catalog,
            recipe=lambda replaced: recipe({**given, **replaced}, config),
            ready=ready,
            stop=stop,
        )

    return serving


async def _until_signalled(serving: _Serving, say: Callable[[str], None] | None = None) -> int:
    """Serve until a signal; the exit code. ``say`` is told the address once requests are answered."""
    stop, ready, hurried = asyncio.Event(), asyncio.Event(), asyncio.Event()
    whole = asyncio.current_task()
    assert whole is not None

    def end() -> None:
        if stop.is_set():
            _log.warning("stopping at once")
            hurried.set()
        stop.set()
        # Before it serves there is nothing to bring to an end in order, only something to wait for.
        if hurried.is_set() or not ready.is_set():
            whole.cancel()

    def say_ready(address: str) -> None:
        _log.info("serving", address=address)
        if say:
            say(address)
        ready.set()

    loop = asyncio.get_running_loop()
    for number in ending_signals():
        loop.add_signal_handler(number, end)
    try:
        return await serving(say_ready, stop)
    except asyncio.CancelledError:
        # Only ``end`` cancels; what a second signal cuts short is retried elsewhere or later.
        if hurried.is_set():
            raise click.exceptions.Exit(INTERRUPTED) from None
        return 0
