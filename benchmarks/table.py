"""The table: lateness for every number of pending instances with every rate.

    python -m benchmarks.table --full --json lateness.json

The full form takes about half an hour. ``python benchmarks/plots.py`` draws it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from benchmarks.harness.bench import Bench
from benchmarks.harness.program import Program
from benchmarks.harness.rows import Row
from benchmarks.lateness import Size, rows


async def measure(bench: Bench, size: Size) -> AsyncIterator[Row]:
    """As ``lateness``, over all of it; each row is shown as soon as it is there."""
    async for row in rows(bench, size, program="table"):
        yield row


PROGRAM = Program(
    name="table",
    about=__doc__,
    short=Size(pending=(10_000, 100_000), rates=(100, 1_000), seconds=5.0, runs=1),
    full=Size(
        pending=(10_000, 1_000_000, 10_000_000),
        rates=(100, 1_000, 2_000, 5_000),
        seconds=60.0,
        runs=1,
    ),
    measure=measure,
)

if __name__ == "__main__":
    PROGRAM.main()
