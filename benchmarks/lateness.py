"""Lateness: the start of the task's code minus the execution time, by rate and by what is pending.

    python -m benchmarks.lateness --pending 1000000 --rates 1000 2000 --seconds 60

The task's code reads the wall clock at its first statement; MongoDB, whose clock decides, runs on the
same machine. The pending instances are stored before the server starts, due in days. What runs is
created through gRPC ahead of time.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from benchmarks.harness.bench import Bench
from benchmarks.harness.pending import fill
from benchmarks.harness.planned import Outcome, run_planned
from benchmarks.harness.program import Program
from benchmarks.harness.rows import Row
from benchmarks.harness.statistics import of_lateness, spread, together


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    pending: tuple[int, ...]
    rates: tuple[int, ...]
    seconds: float
    runs: int


async def measure(bench: Bench, size: Size) -> AsyncIterator[Row]:
    """Every rate with every number of pending ones."""
    async for row in rows(bench, size, program="lateness"):
        yield row


async def rows(bench: Bench, size: Size, *, program: str) -> AsyncIterator[Row]:
    """Each as soon as it is measured. What is pending is stored once for all rates; the server is
    a new one each time."""
    for pending in size.pending:
        async with bench.database("pending") as connection:
            await fill(connection, pending)
            for rate in size.rates:
                outcomes = []
                for _ in range(size.runs):
                    async with bench.server(connection) as server:
                        outcomes.append(
                            await run_planned(
                                bench, server, connection, rate=rate, seconds=size.seconds
                            )
                        )
                yield _row(program, size, pending, rate, outcomes)


def _row(program: str, size: Size, pending: int, rate: int, outcomes: Sequence[Outcome]) -> Row:
    late = [of_lateness(outcome.late_ms) for outcome in outcomes]
    last = outcomes[-1]
    return Row(
        program=program,
        measure="lateness",
        parameters={
            "pending": pending,
            "rate": rate,
            "seconds": size.seconds,
            "runs": size.runs,
        },
        values={
            **{
                name: spread([one[name] for one in late])
                for name in ("p50_ms", "p99_ms", "p999_ms", "max_ms")
            },
            **last.usage.cores(),
            **{f"{name}_memory_mb": round(most, 1) for name, most in last.memory_mb.items()},
        },
        correctness=together(outcome.counted for outcome in outcomes),
        notes=["cores and memory are those of the last run"],
    )


PROGRAM = Program(
    name="lateness",
    about=__doc__,
    short=Size(pending=(100_000,), rates=(1_000,), seconds=10.0, runs=1),
    full=Size(pending=(1_000_000,), rates=(1_000, 2_000), seconds=60.0, runs=3),
    measure=measure,
)

if __name__ == "__main__":
    PROGRAM.main()
