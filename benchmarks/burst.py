"""Many due at one instant: Later beside a bare claim-call-finish pipe, in turn.

python -m benchmarks.burst --count 20000 --runs 5
"""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from benchmarks.bare.burst_pipe import Ends, burst, prepare_burst
from benchmarks.harness.bench import Bench
from benchmarks.harness.ended import succeeded, until_ended
from benchmarks.harness.processes import using
from benchmarks.harness.program import Program
from benchmarks.harness.requests import batches, create
from benchmarks.harness.rows import Row
from benchmarks.harness.server import Server
from benchmarks.harness.statistics import Correctness, correctness, ratios, spread, together
from benchmarks.harness.waiting import until_instant
from later_core.model.instant import to_millis
from later_core.stores.mongo.connection import Connection

_NOTES = (
    (
        "from the instant at which they are due until all have ended by a majority; what claim_lead and"
        " max_running allow is claimed before it"
    ),
    (
        "bare: known ids, no window, in the client's process; each: ends written one by one in a bulk,"
        " same: one end for the whole batch"
    ),
)

#: Claims begin this much before the instant (claim_lead); CPU is counted from here.
_BEFORE = timedelta(milliseconds=500)


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    count: int
    runs: int


@dataclass(frozen=True, slots=True)
class _Run:
    per_second: float
    cpu: dict[str, float]
    counted: Correctness
    late_ms: Sequence[float] = ()


async def measure(bench: Bench, size: Size) -> AsyncIterator[Row]:
    """Runs in turn: Later, then both bare pipes."""
    later, each, same = list[_Run](), list[_Run](), list[_Run]()
    async with bench.database("later") as database, bench.server(database) as server:
        await _later(bench, server, database, min(size.count, 1000))  # what is done once
        for _ in range(size.runs):
            later.append(await _later(bench, server, database, size.count))
            each.append(await _bare(bench, size.count, "each"))
            same.append(await _bare(bench, size.count, "same"))
    yield _row(size, later, each, same)


async def _later(bench: Bench, server: Server, connection: Connection, count: int) -> _Run:
    """From the instant at which they are due to the moment when all have durably ended."""
    due = datetime.now(UTC) + timedelta(seconds=2 + count / 10_000)
    due = due.replace(microsecond=due.microsecond // 1000 * 1000)
    created = await create(server.instances, batches([due] * count))
    if datetime.now(UTC) > due - _BEFORE:
        raise RuntimeError("they were due before all were created: this machine is too busy")
    await until_instant(due - _BEFORE)
    with using(bench.pids(server)) as usage:
        await until_instant(due)
        began = time.perf_counter()
        await until_ended(connection, until_ms=to_millis(due), seconds=120)
        seconds = time.perf_counter() - began
    starts = await server.starts()
    counted = correctness(created.ids, starts.ids, starts.late_ms())
    counted["lost"] = max(counted["lost"] or 0, count - await succeeded(connection, created.ids))
    return _Run(count / seconds, usage.micros_each(count), counted, starts.late_ms())


async def _bare(bench: Bench, count: int, ends: Ends) -> _Run:
    async with bench.database("bare") as connection:
        ids = await prepare_burst(connection, count)
        pids = {"mongod": bench.mongod_pid, "client": os.getpid()}
        with using(pids) as usage:
            outcome = await burst(connection, ids, ends=ends)
        counted = correctness(ids, outcome.begun)
        counted["lost"] = max(counted["lost"] or 0, count - await succeeded(connection, ids))
        return _Run(count / outcome.seconds, usage.micros_each(count), counted)


def _row(size: Size, later: list[_Run], each: list[_Run], same: list[_Run]) -> Row:
    rates = [[run.per_second for run in runs] for runs in (later, each, same)]
    return Row(
        program="burst",
        measure="burst",
        parameters={"count": size.count, "runs": size.runs},
        values={
            "later_per_second": spread(rates[0]),
            "bare_each_per_second": spread(rates[1]),
            "bare_same_per_second": spread(rates[2]),
            "ratio_each": spread(ratios(rates[0], rates[1])),
            "ratio_same": spread(ratios(rates[0], rates[2])),
            "last_start_ms": spread([max(run.late_ms) for run in later]),
            **{f"later_{name}": value for name, value in later[-1].cpu.items()},
            **{f"bare_each_{name}": value for name, value in each[-1].cpu.items()},
            **{f"bare_same_{name}": value for name, value in same[-1].cpu.items()},
        },
        correctness=together(run.counted for run in [*later, *each, *same]),
        notes=_NOTES,
    )


PROGRAM = Program(
    name="burst",
    about=__doc__,
    short=Size(count=20_000, runs=3),
    full=Size(count=20_000, runs=7),
    measure=measure,
)

if __name__ == "__main__":
    PROGRAM.main()
