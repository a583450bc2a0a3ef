"""Subscribers: what they miss, how soon they know, and what they do to the scheduler's lateness.

    python -m benchmarks.watch --subscribers 10 --rate 1000

Each instance that runs makes two events, its claim and its end. The floor of the delay is that of a process
that reads MongoDB's change stream and does nothing else, in runs of its own between the others. Then one
subscriber alone: how fast it reads what it missed, and whether it follows what is written at a given rate.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from benchmarks.bare.changes import BareReader
from benchmarks.bare.documents import maker
from benchmarks.harness.bench import Bench
from benchmarks.harness.planned import Outcome, run_planned
from benchmarks.harness.program import Program
from benchmarks.harness.rows import Row
from benchmarks.harness.server import Server
from benchmarks.harness.statistics import Correctness, of_lateness, spread
from benchmarks.harness.subscribers import Subscribers
from later_core.rpc.v1 import later_pb2 as pb
from later_core.stores.mongo.connection import Connection

_TOKEN_SECONDS = 30.0
#: Batches that are written at an even pace.
_BATCHES_PER_SECOND = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    subscribers: int
    rate: int
    seconds: float
    missed: int
    live_rate: int
    runs: int


async def measure(bench: Bench, size: Size) -> AsyncIterator[Row]:
    """Many subscribers beside a running scheduler; one that catches up; one that follows."""
    yield await _many(bench, size)
    yield await _one(bench, size, "one subscriber reads what it missed", catch_up)
    yield await _one(bench, size, "one subscriber follows", follow)


async def _many(bench: Bench, size: Size) -> Row:
    alone, watched, read = list[Outcome](), list[Outcome](), list[Outcome]()
    told, floor = list[dict[str, Any]](), list[dict[str, Any]]()

    @asynccontextmanager
    async def subscribers(ids: Sequence[str]) -> AsyncIterator[int]:
        async with Subscribers(server.address, bench.directory, count=size.subscribers) as them:
            yield them.pid
            told.append(await them.seen(ids, (2, 3)))

    @asynccontextmanager
    async def bare(_: Sequence[str]) -> AsyncIterator[int]:
        async with BareReader(bench.mongodb_uri, connection.database.name) as reader:
            yield reader.pid
            floor.append(await reader.seen())

    async with bench.database("watch") as connection, bench.server(connection) as server:
        run = partial(run_planned, bench, server, connection, rate=size.rate, seconds=size.seconds)
        for _ in range(size.runs):
            alone.append(await run())
            watched.append(await run(beside=subscribers))
            read.append(await run(beside=bare))
    late = {
        name: [of_lateness(outcome.late_ms)["p99_ms"] for outcome in some]
        for name, some in (("alone", alone), ("watched", watched))
    }
    counted = [outcome.counted for outcome in (*alone, *watched, *read)]
    return Row(
        program="watch",
        measure="many subscribers",
        parameters={
            "subscribers": size.subscribers,
            "events_per_second": 2 * size.rate,
            "seconds": size.seconds,
            "runs": size.runs,
        },
        values={
            **{
                name: spread([one[name] for one in told])
                for name in ("delay_p50_ms", "delay_p99_ms", "delay_max_ms", "too_slow")
            },
            "bare_delay_p50_ms": spread([one["delay_p50_ms"] for one in floor]),
            "bare_delay_p99_ms": spread([one["delay_p99_ms"] for one in floor]),
            "lateness_p99_ms_without": spread(late["alone"]),
            "lateness_p99_ms_with": spread(late["watched"]),
            **watched[-1].usage.cores(),
        },
        correctness={
            name: sum(one[name] or 0 for one in counted) + sum(one.get(name, 0) for one in told)
            for name in ("lost", "twice", "early")
        },
        notes=[
            "delay: from the change's time in MongoDB, in whole milliseconds, to the subscriber's code",
            "bare_delay: the same to a process that only reads the change stream",
            "beside_cores: the process of the subscribers",
        ],
    )


async def _one(bench: Bench, size: Size, name: str, run: Any) -> Row:
    told = list[dict[str, Any]]()
    async with bench.database("watch") as connection, bench.server(connection) as server:
        for _ in range(size.runs):
            told.append(await run(bench, server, connection, size))
    counted: Correctness = {
        "lost": sum(one["lost"] for one in told),
        "twice": sum(one["twice"] for one in told),
        "early": 0,
    }
    shown = ["events_per_second", "too_slow"]
    given: dict[str, Any] = {"events": size.missed}
    if run is follow:
        shown += ["written_per_second", "delay_p50_ms", "delay_p99_ms"]
        given["written_per_second"] = size.live_rate
    return Row(
        program="watch",
        measure=name,
        parameters={**given, "runs": size.runs},
        values={name: spread([one[name] for one in told]) for name in shown},
        correctness=counted,
    )


async def catch_up(
    bench: Bench, server: Server, connection: Connection, size: Size
) -> dict[str, Any]:
    token = await _token(server)
    ids, _ = await _write(connection, size.missed, per_second=None)
    async with Subscribers(
        server.address, bench.directory, count=1, resume_token=token
    ) as subscribers:
        return await subscribers.seen(ids, (1,))


async def follow(
    bench: Bench, server: Server, connection: Connection, size: Size
) -> dict[str, Any]:
    async with Subscribers(server.address, bench.directory, count=1) as subscribers:
        ids, per_second = await _write(connection, size.missed, per_second=size.live_rate)
        return {**await subscribers.seen(ids, (1,)), "written_per_second": per_second}


async def _token(server: Server) -> str:
    """The present, as a place in history."""
    call = server.instances.WatchInstances(pb.WatchInstancesRequest())
    async with asyncio.timeout(_TOKEN_SECONDS):
        async for response in call:
            if response.resume_token:
                call.cancel()
                return str(response.resume_token)
    raise RuntimeError("the watch ended without a token")


async def _write(
    connection: Connection, count: int, *, per_second: int | None
) -> tuple[list[str], float]:
    """Store so many past the server, at an even rate or as fast as it goes; ids, and the rate."""
    make, due, ids = maker(), datetime.now(UTC) + timedelta(days=2), list[str]()
    due = due.replace(microsecond=0)
    batch = 1_000 if per_second is None else per_second // _BATCHES_PER_SECOND
    began = time.perf_counter()
    while len(ids) < count:
        if per_second is not None:
            await asyncio.sleep(max(0.0, began + len(ids) / per_second - time.perf_counter()))
        documents = [make(due) for _ in range(min(batch, count - len(ids)))]
        await connection.instances.insert_many(documents, ordered=False)
        ids += [document["_id"] for document in documents]
    return ids, len(ids) / (time.perf_counter() - began)


PROGRAM = Program(
    name="watch",
    about=__doc__,
    short=Size(subscribers=10, rate=1_000, seconds=5.0, missed=50_000, live_rate=20_000, runs=1),
    full=Size(subscribers=10, rate=1_000, seconds=30.0, missed=200_000, live_rate=20_000, runs=3),
    measure=measure,
)

if __name__ == "__main__":
    PROGRAM.main()
