"""Create through a stream, in batches: Later beside a bare gRPC-to-insert_many pipe, in turn.

python -m benchmarks.create_stream --runs 5
"""

from __future__ import annotations

import os
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from benchmarks.bare.create_pipe import CreatePipe
from benchmarks.harness.bench import Bench
from benchmarks.harness.processes import using
from benchmarks.harness.program import Program
from benchmarks.harness.requests import BATCH, IN_FLIGHT, PARAMETERS, Created, batches, create
from benchmarks.harness.rows import Row
from benchmarks.harness.statistics import Correctness, ratios, spread, together
from later_core.stores.mongo.connection import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    batches: int
    runs: int


async def measure(bench: Bench, size: Size) -> AsyncIterator[Row]:
    """Runs in turn, Later first; what each acknowledged is looked for in MongoDB."""
    rates: dict[str, list[float]] = {"later": [], "bare": []}
    cpu: dict[str, dict[str, float]] = {}
    counted: list[Correctness] = []
    async with (
        bench.database("later") as later_database,
        bench.database("bare") as bare_database,
        bench.server(later_database) as server,
        CreatePipe(bare_database, bench.mongodb_uri) as pipe,
    ):
        sides: dict[str, tuple[Any, Connection, int]] = {
            "later": (server.instances, later_database, server.pid),
            "bare": (pipe.instances, bare_database, pipe.pid),
        }
        for stub, _, _ in sides.values():  # what is done once is done before
            await create(stub, batches(_dues(BATCH)))
        for _ in range(size.runs):
            for name, (stub, connection, pid) in sides.items():
                requests = batches(_dues(size.batches * BATCH))
                pids = {"server": pid, "mongod": bench.mongod_pid, "client": os.getpid()}
                with using(pids) as usage:
                    created = await create(stub, requests)
                rates[name].append(created.per_second)
                cpu[name] = usage.micros_each(len(created.ids))
                counted.append(await _compare(connection, created))
    yield _row(size, rates, cpu, together(counted))


def _dues(count: int) -> list[datetime]:
    """Days ahead, outside every window, in no order."""
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    return [
        tomorrow + timedelta(milliseconds=random.randrange(30 * 86_400_000)) for _ in range(count)
    ]


async def _compare(connection: Connection, created: Created) -> Correctness:
    ids = list(created.ids)
    stored = 0
    for at in range(0, len(ids), 10_000):
        stored += await connection.instances.count_documents(
            {"_id": {"$in": ids[at : at + 10_000]}}
        )
    return {"lost": len(set(ids)) - stored, "twice": len(ids) - len(set(ids)), "early": 0}


def _row(
    size: Size,
    rates: dict[str, list[float]],
    cpu: dict[str, dict[str, float]],
    counted: Correctness,
) -> Row:
    return Row(
        program="create_stream",
        measure="stream create",
        parameters={
            "batches": size.batches,
            "batch": BATCH,
            "in_flight": IN_FLIGHT,
            "parameters_bytes": len(PARAMETERS),
            "runs": size.runs,
        },
        values={
            "later_per_second": spread(rates["later"]),
            "bare_per_second": spread(rates["bare"]),
            "ratio": spread(ratios(rates["later"], rates["bare"])),
            **{f"later_{name}": value for name, value in cpu["later"].items()},
            **{f"bare_{name}": value for name, value in cpu["bare"].items()},
        },
        correctness=counted,
        notes=["bare: the same documents, indexes and driver options; CPU is that of the last run"],
    )


PROGRAM = Program(
    name="create_stream",
    about=__doc__,
    short=Size(batches=50, runs=3),
    full=Size(batches=200, runs=7),
    measure=measure,
)

if __name__ == "__main__":
    PROGRAM.main()
