"""The peers, on the same machine and MongoDB in the same run: rows of ``benchmarks.peers``."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from benchmarks.harness.bench import Bench
from benchmarks.harness.program import Program
from benchmarks.harness.rows import Row


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    runs: int


async def measure(bench: Bench, size: Size) -> AsyncIterator[Row]:
    """Each row as soon as it is there."""
    runner: Any = importlib.import_module("benchmarks.peers.runner")
    told: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()

    async def run() -> None:
        try:
            await runner.measure_peers(
                bench.mongodb_uri, runs=size.runs, seed=bench.seed, tell=told.put_nowait
            )
        finally:
            told.put_nowait(None)

    async with asyncio.TaskGroup() as group:
        group.create_task(run())
        while (row := await told.get()) is not None:
            yield Row(**row)


PROGRAM = Program(
    name="peers_beside",
    about=__doc__,
    short=Size(runs=1),
    full=Size(runs=3),
    measure=measure,
    is_ours=False,
)

if __name__ == "__main__":
    PROGRAM.main()
