"""``python -m benchmarks.peers``: measure the peers, print tables, write JSON."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import platform
import signal
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from benchmarks.peers.environments import CACHE
from benchmarks.peers.measures import Sizes
from benchmarks.peers.mongodb import private_mongod, version
from benchmarks.peers.runner import ALL_MEASURES, PEERS, RATES, measure_peers
from benchmarks.peers.table import line, tables


class Names(click.ParamType[tuple[str, ...]]):
    """Words apart by commas, each one of those that are known."""

    name = "names"

    def __init__(self, known: Sequence[str]) -> None:
        self._known = known

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[str, ...]:
        if isinstance(value, tuple):
            return value
        names = tuple(value.split(","))
        for name in names:
            if name not in self._known:
                self.fail(f"{name!r} is none of {', '.join(self._known)}", param, ctx)
        return names


class Rates(click.ParamType[tuple[int, ...]]):
    """Whole numbers above 0, apart by commas."""

    name = "rates"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[int, ...]:
        if isinstance(value, tuple):
            return value
        words = value.split(",")
        if not all(word.isdecimal() and int(word) for word in words):
            self.fail(f"{value!r} is not whole numbers above 0 apart by commas", param, ctx)
        return tuple(int(word) for word in words)


_MORE = click.IntRange(min=1)


@click.command(context_settings={"show_default": True})
@click.option("--peers", type=Names(tuple(PEERS)), default=",".join(PEERS), help="Which peers.")
@click.option(
    "--measures", type=Names(ALL_MEASURES), default=",".join(ALL_MEASURES), help="Which measures."
)
@click.option("--rates", type=Rates(), default=",".join(map(str, RATES)), help="Due each second.")
@click.option("--count", type=_MORE, default=5_000, help="Jobs added, in a burst, around a kill.")
@click.option("--seconds", type=_MORE, default=20, help="How long jobs are due at each rate.")
@click.option("--pending", type=_MORE, default=100_000, help="Jobs that wait, for the memory.")
@click.option("--runs", type=_MORE, default=3, help="Runs of add, burst and startup.")
@click.option(
    "--recovery",
    type=click.IntRange(min=0),
    default=20,
    help="For kill: seconds after which a peer takes up what a dead process held; 0: its default.",
)
@click.option(
    "--kill-wait",
    type=_MORE,
    default=30,
    help="For kill: seconds without a start before it is over.",
)
@click.option(
    "--kill-at",
    type=click.FloatRange(0, 1),
    default=0.5,
    help="For kill: when, as a share of the time that the burst takes unharmed.",
)
@click.option("--seed", default=0, help="Decides the payload.")
@click.option("--mongodb-uri", help="A replica set to use. [default: a private mongod 6.0.5]")
@click.option(
    "--cache",
    type=click.Path(path_type=Path),
    default=CACHE,
    show_default=False,
    help="Where the peers are installed. [default: benchmarks/.cache/peers]",
)
@click.option("--json", "to", type=click.Path(path_type=Path, dir_okay=False), help="Write to.")
def main(
    mongodb_uri: str | None, to: Path | None, recovery: int, kill_wait: int, **options: Any
) -> None:
    """Measure other schedulers as Later is measured: on the same MongoDB, with the same no-op job."""
    sizes = Sizes(
        recovery_seconds=recovery or None,
        kill_wait_seconds=kill_wait,
        **{name: options.pop(name) for name in ("count", "seconds", "pending", "kill_at")},
    )
    rows = asyncio.run(_run(mongodb_uri, to, sizes=sizes, **options))
    click.echo(tables(rows))


async def _run(
    mongodb_uri: str | None, to: Path | None, *, seed: int, **options: Any
) -> list[dict[str, Any]]:
    on = machine(os.getloadavg()[0])
    rows: list[dict[str, Any]] = []
    server = ""

    def tell(row: dict[str, Any]) -> None:
        click.echo(line(row), err=True)
        rows.append(row)
        if to is not None:  # a run that is broken off leaves what it has
            report = {"machine": on, "mongodb": server, "seed": seed, "rows": rows}
            to.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")

    ours = asyncio.current_task()
    assert ours is not None
    # As Ctrl-C does: what was started is ended in order.
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ours.cancel)
    async with contextlib.AsyncExitStack() as stack:
        if mongodb_uri is None:
            directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="later-peers-"))
            mongodb_uri = await stack.enter_async_context(private_mongod(Path(directory)))
        server = await version(mongodb_uri)
        return await measure_peers(mongodb_uri, seed=seed, tell=tell, **options)


def machine(load: float) -> dict[str, Any]:
    """What the figures were taken on, and how busy it was before."""
    return {
        "cores": os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "load_before": round(load, 2),
    }


def run(arguments: Sequence[str], command: Callable[..., Any] = main.main) -> int:
    """Run it; a wrong argument is told on one line. Answers the exit code."""
    try:
        command(list(arguments), prog_name="python -m benchmarks.peers", standalone_mode=False)
    except click.ClickException as error:
        click.echo(f"error: {error.format_message()}", err=True)
        return error.exit_code
    except (click.Abort, KeyboardInterrupt, asyncio.CancelledError):
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
