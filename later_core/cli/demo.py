"""``later demo``: a whole server at work, from its start to its end, in about ten seconds."""

from __future__ import annotations

import asyncio
import signal
import sys
import tempfile
from contextlib import aclosing, suppress
from datetime import timedelta
from typing import TYPE_CHECKING

import click

from later_core.cli.board import Board
from later_core.cli.examples import Command
from later_core.cli.failure import FAILED, say_error
from later_core.cli.installation import prepare
from later_core.cli.options import Number, WholeNumber
from later_core.cli.session import ending_signals, run
from later_core.client.client import Client
from later_core.client.errors import RpcError
from later_core.model.instance import NewInstance
from later_core.ports.clock import SystemClock
from later_core.settings import Settings
from later_core.telemetry.logs import configure_logging

if TYPE_CHECKING:
    from later_core.catalog import Catalog

_TASK = "echo"
_TO_ABORT = 2
_FIRST_DELAY = 1.0
#: Beyond the last execution time: only a server that does not work needs so long.
_PATIENCE = 30.0
#: And the number of the signal: what a shell shows for a process that one ended.
_ENDED_BY = 128


@click.command(
    cls=Command,
    examples=(
        "later demo",
        "later demo --count 100 --seconds 10",
    ),
)
@click.option(
    "--count",
    type=WholeNumber(1, 900),
    default=20,
    show_default=True,
    help="How many instances are to run.",
)
@click.option(
    "--seconds",
    type=Number(1, 600),
    default=4.0,
    show_default=True,
    help="Over how long their execution times are spread.",
)
def demo(count: int, seconds: float) -> None:
    """Start a server with a MongoDB of its own, run instances on it, and take it all away again.

    Creates echo instances that are due in the next seconds and two more that are aborted before
    they are due, follows them with WatchInstances, and tells how late they started. Exit code 0:
    everything ended as it should.
    """
    with tempfile.TemporaryDirectory(prefix="later-demo-") as directory:
        catalog, settings = _prepare(directory)
        board = Board(expected=count + _TO_ABORT)
        click.echo("Starting a server with a MongoDB of its own ...", err=True)
        run(_demonstrate(settings, catalog, board, count=count, seconds=seconds))
    board.print_summary()
    if not board.is_as_promised(succeeded=count, aborted=_TO_ABORT):
        say_error("not every instance ended as it should")
        raise click.exceptions.Exit(FAILED)


def _prepare(directory: str) -> tuple[Catalog, Settings]:
    catalog, settings = prepare({"listen": "127.0.0.1:0", "data_dir": directory})
    configure_logging(verbose=0, format="text", stream=sys.stderr)
    catalog.collect(settings.plugins)
    if catalog.get(_TASK) is None:
        raise click.ClickException(
            f"the task {_TASK!r} is not installed: pip install later-plugin-echo"
        )
    # A demo touches no database that somebody uses, and talks to nobody but itself.
    own = dict.fromkeys(("mongodb_uri", "tls_cert", "tls_key", "tls_client_ca"))
    return catalog, settings.model_copy(update=own | {"auth": ()})


async def _demonstrate(
    settings: Settings, catalog: Catalog, board: Board, *, count: int, seconds: float
) -> None:
    from later_core.app import serve

    whole = asyncio.current_task()
    assert whole is not None
    loop = asyncio.get_running_loop()
    came: list[int] = []

    def terminate(number: int) -> None:
        came.append(number)
        whole.cancel()

    for number in ending_signals():
        if number is not signal.SIGINT:  # which asyncio.run makes a KeyboardInterrupt
            loop.add_signal_handler(number, terminate, number)
    address: asyncio.Future[str] = loop.create_future()
    stop = asyncio.Event()
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(serve(settings, catalog, ready=address.set_result, stop=stop))
            async with Client(await address) as client:
                # What has not ended by then is missing in the summary, which says it all.
                with suppress(TimeoutError):
                    async with asyncio.timeout(seconds + _PATIENCE):
                        await _run_instances(client, board, count=count, seconds=seconds)
            stop.set()
    except asyncio.CancelledError:
        if came:
            raise click.exceptions.Exit(_ENDED_BY + came[0]) from None
        raise


async def _run_instances(client: Client, board: Board, *, count: int, seconds: float) -> None:
    requests = _requests(count, seconds)
    with board:
        async with aclosing(client.watch()) as batches, asyncio.TaskGroup() as group:
            # The first batch says that the watch has begun: nothing created from here is missed.
            await anext(batches)
            await _create(client, requests)
            group.create_task(_abort(client, requests[-_TO_ABORT:], after=seconds / 2))
            while not board.is_complete:
                board.show((await anext(batches)).events)


def _requests(count: int, seconds: float) -> list[NewInstance]:
    """The instances that are to run, then those to abort, due when all others have run."""
    delays = [_FIRST_DELAY + seconds * place / count for place in range(count)]
    delays += [_FIRST_DELAY + seconds + 1.0] * _TO_ABORT
    return [
        NewInstance(
            task=_TASK,
            id=f"demo-{number:03}" if number <= count else f"demo-{number:03}-to-abort",
            parameters=f"hello {number}".encode(),
            delay=timedelta(seconds=delay),
        )
        for number, delay in enumerate(delays, 1)
    ]


async def _create(client: Client, requests: list[NewInstance]) -> None:
    for answer in await client.create_many(requests):
        if isinstance(answer, RpcError):
            raise answer


async def _abort(client: Client, requests: list[NewInstance], *, after: float) -> None:
    await SystemClock().sleep(after)
    for request in requests:
        await client.abort(request.id or "")
