"""So many due each second, evenly: how late their code began, and what it cost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from benchmarks.harness.bench import Bench
from benchmarks.harness.ended import succeeded, until_ended
from benchmarks.harness.processes import Usage, memory_mb, using
from benchmarks.harness.requests import batches, create
from benchmarks.harness.server import Server
from benchmarks.harness.statistics import Correctness, correctness
from benchmarks.harness.waiting import until_instant
from later_core.model.instant import to_millis
from later_core.stores.mongo.connection import Connection

#: Created this long before the first is due, and a second more for so many.
_LEAD_SECONDS = 4.0
_CREATED_PER_SECOND = 12_000
#: For what has not ended when the last one is due: a server that cannot keep up.
_DRAIN_SECONDS = 180.0
_SAMPLE_SECONDS = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Lateness of each start in milliseconds, what was used, the most memory in MB."""

    late_ms: list[float]
    usage: Usage
    memory_mb: Mapping[str, float]
    counted: Correctness


async def run_planned(
    bench: Bench,
    server: Server,
    connection: Connection,
    *,
    rate: int,
    seconds: float,
    beside: Callable[[Sequence[str]], AbstractAsyncContextManager[int]] | None = None,
) -> Outcome:
    """Create them through gRPC, ahead of time; then watch them run.

    ``beside`` is entered when all are created and left when all have ended; it gives the id of a
    process whose CPU is measured too.

    Raises:
        RuntimeError: the first was due before the last was created.

    """
    count = int(rate * seconds)
    first = datetime.now(UTC) + timedelta(seconds=_LEAD_SECONDS + count / _CREATED_PER_SECOND)
    dues = [first + timedelta(seconds=number / rate) for number in range(count)]
    created = await create(server.instances, batches(dues))
    if datetime.now(UTC) > first - timedelta(seconds=1):
        raise RuntimeError("the first was due before all were created: this machine is too busy")
    pids = bench.pids(server)
    memory_of = {name: pids[name] for name in ("server", "mongod")}
    async with AsyncExitStack() as stack:
        if beside is not None:
            pids["beside"] = await stack.enter_async_context(beside(created.ids))
        await until_instant(first - timedelta(seconds=0.5))
        memory = await stack.enter_async_context(_most_memory(memory_of))
        with using(pids) as usage:
            await until_instant(dues[-1])
            await until_ended(
                connection, until_ms=to_millis(dues[-1]) + 1, seconds=_DRAIN_SECONDS, every=0.05
            )
    starts = await server.starts()
    late_ms = starts.late_ms()
    counted = correctness(created.ids, starts.ids, late_ms)
    counted["lost"] = max(counted["lost"] or 0, count - await succeeded(connection, created.ids))
    return Outcome(late_ms=late_ms, usage=usage, memory_mb=memory, counted=counted)


@asynccontextmanager
async def _most_memory(pids: Mapping[str, int]) -> AsyncIterator[dict[str, float]]:
    """The most resident memory during the block, by name."""
    most = {name: memory_mb(pid) for name, pid in pids.items()}

    async def sample() -> None:
        while True:
            await asyncio.sleep(_SAMPLE_SECONDS)
            for name, pid in pids.items():
                most[name] = max(most[name], memory_mb(pid))

    sampler = asyncio.create_task(sample())
    try:
        yield most
    finally:
        sampler.cancel()
