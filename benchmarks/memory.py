"""Memory of the server with millions pending outside the window, beside that of an idle one.

python -m benchmarks.memory --pending 10000000
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

from benchmarks.harness.bench import Bench
from benchmarks.harness.pending import fill
from benchmarks.harness.processes import memory_mb
from benchmarks.harness.program import Program
from benchmarks.harness.rows import Row
from benchmarks.harness.statistics import spread
from later_core.stores.mongo.connection import Connection

#: Until memory is read: the first pull is over, and what the start leaves behind has been let go.
_SETTLE_SECONDS = 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    pending: int
    runs: int


async def measure(bench: Bench, size: Size) -> AsyncIterator[Row]:
    """Idle servers and those with much pending, in turn."""
    memory: dict[str, list[float]] = {"idle": [], "pending": []}
    async with bench.database("empty") as empty, bench.database("pending") as full:
        await fill(full, size.pending)
        for _ in range(size.runs):
            memory["idle"].append(await _memory(bench, empty))
            memory["pending"].append(await _memory(bench, full))
        stored = await full.instances.estimated_document_count()
    yield Row(
        program="memory",
        measure="memory with much pending outside the window",
        parameters={"pending": size.pending, "runs": size.runs},
        values={f"{name}_mb": spread(values) for name, values in memory.items()},
        correctness={"lost": size.pending - stored, "twice": 0, "early": 0},
    )


async def _memory(bench: Bench, connection: Connection) -> float:
    async with bench.server(connection) as server:
        await asyncio.sleep(_SETTLE_SECONDS)
        return memory_mb(server.pid)


PROGRAM = Program(
    name="memory",
    about=__doc__,
    short=Size(pending=200_000, runs=1),
    full=Size(pending=10_000_000, runs=3),
    measure=measure,
)

if __name__ == "__main__":
    PROGRAM.main()
