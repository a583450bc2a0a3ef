"""From the start of the process to the code of an instance that was overdue, with many pending.

python -m benchmarks.startup --pending 1000000 --runs 5
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.bare.documents import maker
from benchmarks.harness.bench import Bench
from benchmarks.harness.pending import fill
from benchmarks.harness.processes import memory_mb
from benchmarks.harness.program import Program
from benchmarks.harness.rows import Row
from benchmarks.harness.statistics import Correctness, spread, together
from benchmarks.harness.waiting import until
from later_core.stores.mongo.connection import Connection

_OVERDUE = timedelta(hours=1)
_RUN_SECONDS = 60.0
_SETTLE_SECONDS = 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    pending: int
    runs: int


async def measure(bench: Bench, size: Size) -> AsyncIterator[Row]:
    """Several starts, each with one that is overdue."""
    seconds, memory, counted = list[float](), list[float](), list[Correctness]()
    async with bench.database("startup") as connection:
        await fill(connection, size.pending)
        for _ in range(size.runs):
            await _start(bench, connection, seconds, memory, counted)
    yield Row(
        program="startup",
        measure="start with one overdue",
        parameters={"pending": size.pending, "runs": size.runs},
        values={"seconds": spread(seconds), "idle_mb": spread(memory)},
        correctness=together(counted),
        notes=["MongoDB is up; from just before exec to the first statement of the task's code"],
    )


async def _start(
    bench: Bench,
    connection: Connection,
    seconds: list[float],
    memory: list[float],
    counted: list[Correctness],
) -> None:
    document = maker()(_hour_ago())
    await connection.instances.insert_one(document)
    server = bench.server(connection)
    await server.start()
    try:
        path = Path(server.directory, f"first-{server.pid}")

        async def has_run() -> bool:
            # Seen when it is there; the time is the one in it.
            return path.exists() and bool(path.read_text(encoding="ascii"))

        await until("the overdue one has run", has_run, seconds=_RUN_SECONDS, every=0.2)
        seconds.append((int(path.read_text(encoding="ascii")) - server.executed_ns) / 1e9)
        await asyncio.sleep(_SETTLE_SECONDS)
        memory.append(memory_mb(server.pid))
    finally:
        await server.stop()
    stored = await connection.instances.find_one({"_id": document["_id"]})
    attempts = stored["attempt"] if stored and stored["state"] == "SUCCEEDED" else 0
    counted.append({"lost": int(attempts == 0), "twice": max(0, attempts - 1), "early": 0})


def _hour_ago() -> datetime:
    now = datetime.now(UTC) - _OVERDUE
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


PROGRAM = Program(
    name="startup",
    about=__doc__,
    short=Size(pending=100_000, runs=3),
    full=Size(pending=1_000_000, runs=7),
    measure=measure,
)

if __name__ == "__main__":
    PROGRAM.main()
