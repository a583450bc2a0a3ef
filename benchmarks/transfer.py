"""A backup of many under load, restored elsewhere and compared, field by field.

python -m benchmarks.transfer --count 1000000

While ``later export`` reads, others go on creating and running instances. Among what is created are
chains: each link is created once the one before it was acknowledged, due at a random time. A read that
is not of one moment would find a link without the one before it.
"""

from __future__ import annotations

import asyncio
import random
import sys
import time
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pymongo import WriteConcern

from benchmarks.bare.documents import maker
from benchmarks.harness.bench import Bench
from benchmarks.harness.processes import memory_mb
from benchmarks.harness.program import Program
from benchmarks.harness.requests import batches, create, one
from benchmarks.harness.rows import Row
from benchmarks.harness.server import Server
from later_core.client.backup import BackupReader
from later_core.stores.mongo.connection import Connection, Document
from later_core.stores.mongo.documents import to_instance
from later_core.stores.mongo.indexes import prepare

_BATCH = 5_000
#: Outside every window.
_AHEAD = timedelta(days=2)
_CHAINS = 8
#: So many are created to run at once, several times a second.
_RUNS = 10
_PAUSE_SECONDS = 0.05
_COMMAND_SECONDS = 3_600.0
_SAMPLE_SECONDS = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    count: int


@dataclass(slots=True)
class Load:
    """What others did meanwhile."""

    chained: int = 0
    run: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """A command that ended well: how long it took, and the most memory it had."""

    seconds: float
    memory_mb: float


async def measure(bench: Bench, size: Size) -> AsyncIterator[Row]:
    """One export, one import, and the comparison."""
    backup = bench.directory / "backup.later"
    async with bench.database("source") as source, bench.database("target") as target:
        planted = await _plant(source, size.count)
        async with bench.server(source) as server, _load(server, size.count) as load:
            exported = await _later(server, "export", str(backup))
            export_mb = memory_mb(server.pid, "VmHWM")
        torn, held = _read(backup)
        async with bench.server(target) as server:
            imported = await _later(server, "import", str(backup))
            import_mb = memory_mb(server.pid, "VmHWM")
            again = await _later(server, "import", str(backup))
        unequal = await _differences(source, target)
        found = await target.instances.count_documents({})
    yield Row(
        program="transfer",
        measure="export under load, import, compare",
        parameters={"count": size.count},
        values={
            "instances": held,
            "file_mb": round(backup.stat().st_size / 1e6, 1),
            "export_seconds": round(exported.seconds, 2),
            "export_per_second": round(held / exported.seconds),
            "export_client_mb": exported.memory_mb,
            "export_server_mb": export_mb,
            "import_seconds": round(imported.seconds, 2),
            "import_per_second": round(held / imported.seconds),
            "import_client_mb": imported.memory_mb,
            "import_server_mb": import_mb,
            "import_again_seconds": round(again.seconds, 2),
            "created_meanwhile": load.chained + load.run,
        },
        correctness={
            "lost": torn + unequal + max(0, planted - held) + abs(held - found),
            "twice": 0,
            "early": 0,
        },
        notes=["client and server on one machine; the seconds are those of the whole command"],
    )


async def _plant(connection: Connection, count: int) -> int:
    """So many of every kind: half of them wait, the others have ended; answers how many."""
    await prepare(connection, retention=timedelta(days=7))
    collection = connection.instances.with_options(write_concern=WriteConcern(w=1, j=False))
    for at in range(0, count, _BATCH):
        await collection.insert_many(list(_documents(at, min(count, at + _BATCH))), ordered=False)
    await connection.admin({"fsync": 1})
    return count


def _documents(begin: int, end: int) -> Iterator[Document]:
    make = maker()
    now = datetime.now(UTC).replace(microsecond=0)
    for number in range(begin, end):
        if number % 2:
            yield make(now + _AHEAD + timedelta(seconds=number))
            continue
        ended = now - timedelta(hours=1, milliseconds=number)
        outcome: dict[str, Any] = (
            {"state": "SUCCEEDED", "result": b"r" * (number % 50)}
            if number % 4
            else {"state": "FAILED", "error": {"reason": "BROKEN", "message": f"broke {number}"}}
        )
        yield make(ended) | {
            "attempt": 1 + number % 3,
            "revision": 3 + number % 5,
            "node": "node-gone",
            "labels": [f"n={number % 10}"],
            "start_time": ended,
            "finish_time": ended + timedelta(seconds=1),
            **outcome,
        }


@asynccontextmanager
async def _load(server: Server, count: int) -> AsyncIterator[Load]:
    """Others at work, for the length of the block."""
    load = Load()
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(_chain(server, number, load, count)) for number in range(_CHAINS)
        ]
        tasks.append(group.create_task(_run(server, load)))
        # There is something to miss before anybody reads.
        await asyncio.sleep(1)
        try:
            yield load
        finally:
            for task in tasks:
                task.cancel()


async def _chain(server: Server, chain: int, load: Load, count: int) -> None:
    """Link after link, each once the one before it is acknowledged, somewhere among those that wait."""
    for number in range(sys.maxsize):
        request = one(datetime.now(UTC) + _AHEAD + timedelta(seconds=random.uniform(0, count)))
        request.id = f"chain-{chain}-{number}"
        await server.instances.CreateInstance(request, timeout=30)
        load.chained += 1


async def _run(server: Server, load: Load) -> None:
    """Some are always due."""
    while True:
        await create(server.instances, batches([datetime.now(UTC)] * _RUNS))
        load.run += _RUNS
        await asyncio.sleep(_PAUSE_SECONDS)


async def _later(server: Server, *words: str) -> Ran:
    """Run a command against the server; it must end well."""
    began = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "later_core.cli", "--address", server.address, *words),
        stdin=DEVNULL,
        stdout=PIPE,
        stderr=PIPE,
    )
    most = 0.0

    async def watch() -> None:
        nonlocal most
        while True:
            try:
                most = max(most, memory_mb(process.pid, "VmHWM"))
            except (OSError, ValueError):
                return
            await asyncio.sleep(_SAMPLE_SECONDS)

    async with asyncio.timeout(_COMMAND_SECONDS), asyncio.TaskGroup() as group:
        watching = group.create_task(watch())
        out, errors = await process.communicate()
        watching.cancel()
    if process.returncode:
        raise RuntimeError(f"later {words[0]} failed: {(errors or out).decode()}")
    return Ran(seconds=time.perf_counter() - began, memory_mb=round(most, 1))


def _read(backup: Path) -> tuple[int, int]:
    """How many links of chains are missing in the file, and how many instances it holds."""
    links: dict[str, list[int]] = {}
    with backup.open("rb") as file:
        reader = BackupReader(file)
        for part in reader.parts():
            for exported in part.instances:
                if exported.instance.id.startswith("chain-"):
                    _, chain, number = exported.instance.id.split("-")
                    links.setdefault(chain, []).append(int(number))
    if not links:
        raise RuntimeError("nothing was created before the export")
    torn = sum(max(numbers) + 1 - len(numbers) for numbers in links.values())
    return torn, reader.totals.instances


async def _differences(source: Connection, target: Connection) -> int:
    """How many that nobody touched are not equal in both, or are missing."""
    untouched = {"task": "bench-noop", "_id": {"$not": {"$regex": "^chain-"}}}
    old = {"create_time": {"$lt": await _first_of_the_load(source)}}
    wrong = 0
    mine = source.instances.find(untouched | old).sort("_id", 1)
    theirs = target.instances.find(untouched | old).sort("_id", 1)
    async for document in mine:
        other = await anext(theirs, None)
        wrong += other is None or to_instance(document) != to_instance(other)
    return wrong


async def _first_of_the_load(source: Connection) -> datetime:
    """What was created before was planted."""
    first = await source.instances.find_one({"_id": "chain-0-0"})
    if first is None:
        raise RuntimeError("nothing was created before the export")
    moment: datetime = first["create_time"]
    return moment - timedelta(seconds=1)


#: What is asked for alone is a million; the short form is for the tests.
PROGRAM = Program(
    name="transfer",
    about=__doc__ or "",
    short=Size(count=20_000),
    full=Size(count=1_000_000),
    measure=measure,
)

if __name__ == "__main__":
    PROGRAM.main()
