"""Many instances inside one window: seconds of the pull, memory, the longest pause of the event loop.

python -m benchmarks.window --count 1000000
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from benchmarks.harness.bench import Bench
from benchmarks.harness.pending import fill
from benchmarks.harness.processes import memory_mb
from benchmarks.harness.program import Program
from benchmarks.harness.rows import Row
from benchmarks.harness.server import Server
from benchmarks.harness.statistics import spread
from benchmarks.harness.waiting import until
from later_core.stores.mongo.connection import Connection

_PLUGINS = ("benchmarks.harness.tasks", "benchmarks.harness.measured_store")
#: Far enough ahead that none of them becomes due meanwhile.
_WINDOW = {"time_ahead": "12h", "recurrence": "11h"}
_FIRST, _OVER = timedelta(hours=2), timedelta(hours=4)
_PULL_SECONDS = 300.0
#: Until memory is read: what the start leaves behind has been let go.
_SETTLE_SECONDS = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    count: int
    runs: int


async def measure(bench: Bench, size: Size) -> AsyncIterator[Row]:
    """Idle servers and full ones, in turn."""
    idle, full, most, pulls = list[float](), list[float](), list[float](), list[dict[str, Any]]()
    async with bench.database("empty") as empty, bench.database("window") as window:
        await fill(window, size.count, first=datetime.now(UTC) + _FIRST, over=_OVER)
        for _ in range(size.runs):
            async with _server(bench, empty) as server:
                await asyncio.sleep(_SETTLE_SECONDS)
                idle.append(memory_mb(server.pid))
            async with _server(bench, window) as server:
                pulls.append(await _pulled(server))
                await asyncio.sleep(_SETTLE_SECONDS)
                full.append(memory_mb(server.pid))
                most.append(memory_mb(server.pid, "VmHWM"))
    above = [after - before for after, before in zip(full, idle, strict=True)]
    yield Row(
        program="window",
        measure="one window",
        parameters={"count": size.count, "runs": size.runs},
        values={
            "pull_seconds": spread([pull["seconds"] for pull in pulls]),
            "longest_pause_ms": spread([pull["pauses_ms"][-1] for pull in pulls]),
            "idle_mb": spread(idle),
            "above_idle_mb": spread(above),
            "most_mb": spread(most),
            "bytes_an_entry": spread([mb * 1e6 / size.count for mb in above]),
        },
        correctness={
            "lost": sum(max(0, size.count - pull["entries"]) for pull in pulls),
            "twice": sum(max(0, pull["entries"] - size.count) for pull in pulls),
            "early": 0,
        },
        notes=["a pause is how much later than 1 ms a ticker on the server's loop woke"],
    )


def _server(bench: Bench, connection: Connection) -> Server:
    settings: Mapping[str, str] = {
        **_WINDOW,
        "bench_uri": bench.mongodb_uri,
        "bench_database": connection.database.name,
        "bench_notes": str(bench.directory),
    }
    return bench.server(connection, settings=settings, plugins=_PLUGINS)


async def _pulled(server: Server) -> dict[str, Any]:
    path = Path(server.directory.parent, f"pull-{server.pid}.json")

    async def is_there() -> bool:
        return path.exists()

    await until("the window is pulled", is_there, seconds=_PULL_SECONDS)
    pull: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return pull


PROGRAM = Program(
    name="window",
    about=__doc__,
    short=Size(count=200_000, runs=1),
    full=Size(count=1_000_000, runs=3),
    measure=measure,
)

if __name__ == "__main__":
    PROGRAM.main()
