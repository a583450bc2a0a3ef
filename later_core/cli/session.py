"""One conversation with a server, from the settings to the end of the event loop."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Coroutine, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

import click

from later_core.cli.failure import INTERRUPTED
from later_core.cli.group import Top

if TYPE_CHECKING:
    from later_core.client.client import Client

_T = TypeVar("_T")


def converse(top: Top, talk: Callable[[Client], Coroutine[Any, Any, _T]]) -> _T:
    """What ``talk`` answers, given a client of the server that flag, environment or file name."""
    # Not for ``later serve``, whose parent of several nodes does without gRPC.
    from later_core.client.client import Client
    from later_core.settings import load

    settings = load(top.flags)

    async def whole() -> _T:
        async with Client.from_settings(settings) as client:
            return await talk(client)

    return run(whole())


def ending_signals() -> Iterator[signal.Signals]:
    """Those that ask a process to end: SIGHUP too, which the closing of its terminal sends, unless
    whoever started it (``nohup``) has it ignored.
    """
    yield signal.SIGINT
    yield signal.SIGTERM
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        yield signal.SIGHUP


def run(
    work: Coroutine[Any, Any, _T],
    loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None,
) -> _T:
    """Run to the end; on Ctrl-C the work is cancelled, cleans up, and the command exits with 130."""
    try:
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            return runner.run(work)
    except KeyboardInterrupt:
        raise click.exceptions.Exit(INTERRUPTED) from None
