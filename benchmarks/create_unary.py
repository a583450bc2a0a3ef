"""Create one by one: Later beside a handler that inserts one by one, in turn; alone, beside one insert.

python -m benchmarks.create_unary --in-flight 1 64 256
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from benchmarks.bare.create_pipe import CreatePipe
from benchmarks.bare.documents import maker
from benchmarks.harness.bench import Bench
from benchmarks.harness.processes import using
from benchmarks.harness.program import Program
from benchmarks.harness.requests import one
from benchmarks.harness.rows import Row
from benchmarks.harness.statistics import Correctness, quantile, ratios, spread, together
from later_core.stores.mongo.connection import Connection

_DEADLINE_SECONDS = 30.0

#: Creates one; answers its id.
Create = Callable[[], Awaitable[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    in_flight: tuple[int, ...]
    seconds: float
    runs: int


@dataclass(frozen=True, slots=True)
class _Run:
    """Ids in the order of their answers, milliseconds of each call, seconds in all."""

    ids: Sequence[str]
    call_ms: Sequence[float]
    seconds: float
    cpu: dict[str, float]

    @property
    def per_second(self) -> float:
        return len(self.ids) / self.seconds

    def quantile_ms(self, share: float) -> float:
        return quantile(sorted(self.call_ms), share)


@dataclass(frozen=True, slots=True)
class _Side:
    create: Create
    connection: Connection
    pid: int


async def measure(bench: Bench, size: Size) -> AsyncIterator[Row]:
    """Runs in turn for each number in flight; what was acknowledged is looked for in MongoDB."""
    async with (
        bench.database("later") as later_database,
        bench.database("bare") as bare_database,
        bench.server(later_database) as server,
        CreatePipe(bare_database, bench.mongodb_uri) as pipe,
    ):
        later = _Side(_through(server.instances), later_database, server.pid)
        bare = _Side(_through(pipe.instances), bare_database, pipe.pid)
        insert = _Side(_inserting(bare_database), bare_database, os.getpid())
        for side in (later, bare, insert):  # what is done once is done before
            await _run(bench, side, 8, 0.2)
        for in_flight in size.in_flight:
            alone = [insert] if in_flight == 1 else []
            yield await _compare(bench, size, in_flight, later, bare, *alone)


async def _compare(
    bench: Bench, size: Size, in_flight: int, later: _Side, bare: _Side, *insert: _Side
) -> Row:
    sides = {
        "later": later,
        "bare": bare,
        **({"insert": insert[0]} if insert else {}),
    }
    runs: dict[str, list[_Run]] = {name: [] for name in sides}
    counted: list[Correctness] = []
    for _ in range(size.runs):
        for name, side in sides.items():
            run = await _run(bench, side, in_flight, size.seconds)
            runs[name].append(run)
            counted.append(await _count(side.connection, run.ids))
    rates = {name: [run.per_second for run in some] for name, some in runs.items()}
    values: dict[str, Any] = {}
    for name, some in runs.items():
        values[f"{name}_per_second"] = spread(rates[name])
        values[f"{name}_p50_ms"] = spread([run.quantile_ms(0.5) for run in some])
        values[f"{name}_p99_ms"] = spread([run.quantile_ms(0.99) for run in some])
        values |= {f"{name}_{key}": value for key, value in some[-1].cpu.items()}
    values["ratio"] = spread(ratios(rates["later"], rates["bare"]))
    if insert:
        p50 = {name: [run.quantile_ms(0.5) for run in some] for name, some in runs.items()}
        values["p50_over_insert"] = spread(ratios(p50["later"], p50["insert"]))
        values["p50_over_bare"] = spread(ratios(p50["later"], p50["bare"]))
    return Row(
        program="create_unary",
        measure="unary create",
        parameters={"in_flight": in_flight, "seconds": size.seconds, "runs": size.runs},
        values=values,
        correctness=together(counted),
        notes=[
            "bare: a gRPC handler that inserts one by one; insert: the driver alone, without gRPC",
        ],
    )


async def _run(bench: Bench, side: _Side, in_flight: int, seconds: float) -> _Run:
    ids, call_ms = list[str](), list[float]()
    began = time.perf_counter()
    until = began + seconds

    async def work() -> None:
        while (sent := time.perf_counter()) < until:
            id = await side.create()
            call_ms.append((time.perf_counter() - sent) * 1000)
            ids.append(id)

    pids = {"mongod": bench.mongod_pid, "client": os.getpid()}
    if side.pid != os.getpid():
        pids["server"] = side.pid
    with using(pids) as usage:
        async with asyncio.TaskGroup() as group:
            for _ in range(in_flight):
                group.create_task(work())
    return _Run(ids, call_ms, time.perf_counter() - began, usage.micros_each(len(ids)))


def _through(stub: Any) -> Create:
    request = one(datetime.now(UTC) + timedelta(days=1))

    async def create() -> str:
        response = await stub.CreateInstance(request, timeout=_DEADLINE_SECONDS)
        return str(response.instance.id)

    return create


def _inserting(connection: Connection) -> Create:
    make, due = maker(), datetime.now(UTC) + timedelta(days=1)

    async def create() -> str:
        document = make(due)
        await connection.instances.insert_one(document)
        return str(document["_id"])

    return create


async def _count(connection: Connection, ids: Sequence[str]) -> Correctness:
    stored = await connection.instances.count_documents({"_id": {"$in": list(ids)}})
    return {"lost": len(set(ids)) - stored, "twice": len(ids) - len(set(ids)), "early": 0}


PROGRAM = Program(
    name="create_unary",
    about=__doc__,
    short=Size(in_flight=(1, 64, 256), seconds=2.0, runs=3),
    full=Size(in_flight=(1, 64, 256), seconds=5.0, runs=7),
    measure=measure,
)

if __name__ == "__main__":
    PROGRAM.main()
