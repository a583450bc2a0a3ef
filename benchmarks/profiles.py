"""CPU for each instance, and where the server spends it: create, run, watch.

    python -m benchmarks.profiles --top 25

py-spy samples the server while it works; on Linux it needs root, or kernel.yama.ptrace_scope 0.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from benchmarks import watch
from benchmarks.harness.bench import Bench
from benchmarks.harness.ended import until_ended
from benchmarks.harness.processes import Usage, using
from benchmarks.harness.program import Program
from benchmarks.harness.requests import batches, create
from benchmarks.harness.rows import Row
from benchmarks.harness.sampling import Samples, sampling
from benchmarks.harness.statistics import Correctness, correctness
from benchmarks.harness.waiting import until_instant
from later_core.model.instant import to_millis

_SAMPLER_SECONDS = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    created: int
    run: int
    watched: int
    top: int


async def measure(bench: Bench, size: Size) -> AsyncIterator[Row]:
    """One row for each of the three."""
    yield await _create(bench, size)
    yield await _run(bench, size)
    yield await _watch(bench, size)


async def _create(bench: Bench, size: Size) -> Row:
    async with bench.database("profile") as connection, bench.server(connection) as server:
        requests = batches([datetime.now(UTC) + timedelta(days=1)] * size.created)
        async with sampling(server.pid, server.directory / "stacks") as samples:
            with using(bench.pids(server)) as usage:
                created = await create(server.instances, requests)
        stored = await connection.instances.estimated_document_count()
    counted: Correctness = {"lost": len(created.ids) - stored, "twice": 0, "early": 0}
    return _row("stream create", size.created, size.top, usage, samples, counted)


async def _run(bench: Bench, size: Size) -> Row:
    async with bench.database("profile") as connection, bench.server(connection) as server:
        ahead = timedelta(seconds=2 * _SAMPLER_SECONDS + size.run / 10_000)
        due = datetime.now(UTC) + ahead
        created = await create(server.instances, batches([due] * size.run))
        await until_instant(due - timedelta(seconds=_SAMPLER_SECONDS))
        async with sampling(server.pid, server.directory / "stacks") as samples:
            with using(bench.pids(server)) as usage:
                await until_instant(due)
                await until_ended(connection, until_ms=to_millis(due) + 1, seconds=120)
        starts = await server.starts()
    counted = correctness(created.ids, starts.ids, starts.late_ms())
    return _row("claim, run, finish", size.run, size.top, usage, samples, counted)


async def _watch(bench: Bench, size: Size) -> Row:
    like = replace(watch.PROGRAM.short, missed=size.watched)
    async with (
        bench.database("profile") as connection,
        bench.server(connection) as server,
        sampling(server.pid, server.directory / "stacks") as samples,
    ):
        with using(bench.pids(server)) as usage:
            told = await watch.follow(bench, server, connection, like)
    counted: Correctness = {"lost": told["lost"], "twice": told["twice"], "early": 0}
    return _row("watch, one subscriber", size.watched, size.top, usage, samples, counted)


def _row(
    measure: str, count: int, top: int, usage: Usage, samples: Samples, counted: Correctness
) -> Row:
    return Row(
        program="profiles",
        measure=measure,
        parameters={"count": count},
        values={
            **usage.micros_each(count),
            "samples": samples.total,
            "by_library": samples.by_library(),
            "top": samples.top(top),
        },
        correctness=counted,
    )


PROGRAM = Program(
    name="profiles",
    about=__doc__,
    short=Size(created=100_000, run=20_000, watched=60_000, top=15),
    full=Size(created=500_000, run=60_000, watched=200_000, top=25),
    measure=measure,
)

if __name__ == "__main__":
    PROGRAM.main()
