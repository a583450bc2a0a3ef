"""First numbers of one node: how fast it creates, how it drains a burst, how late it starts.

Starts a real ``later serve`` with its embedded MongoDB on a free port and talks to it over gRPC from
this process, so that server, database and client share the machine's cores. Prints one JSON object.

    python benchmarks/first_numbers.py --burst 20000 --rate 500 --seconds 20
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import signal
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

import grpc

from later_core.rpc.v1 import later_pb2 as pb
from later_core.rpc.v1 import later_pb2_grpc as rpc

BATCH = 1_000
IN_FLIGHT = 4
PARAMETERS = b"x" * 100


def free_address() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


@asynccontextmanager
async def server() -> AsyncIterator[grpc.aio.Channel]:
    """A server of its own, ready; stopped in order afterwards."""
    address = free_address()
    with tempfile.TemporaryDirectory() as folder:
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("LATER_")},
            "LATER_LISTEN": address,
            "LATER_DATA_DIR": folder,
            "LATER_VERBOSE": "0",
        }
        later = Path(sys.executable).with_name("later")
        process = await asyncio.create_subprocess_exec(later, "serve", env=environment)
        try:
            async with grpc.aio.insecure_channel(address) as channel:
                await asyncio.wait_for(channel.channel_ready(), 60)
                yield channel
        finally:
            process.send_signal(signal.SIGTERM)
            await process.wait()


def batches(dues: list[datetime]) -> Iterator[pb.StreamCreateInstancesRequest]:
    for at in range(0, len(dues), BATCH):
        request = pb.StreamCreateInstancesRequest()
        for due in dues[at : at + BATCH]:
            one = request.requests.add(task="echo", parameters=PARAMETERS)
            one.execution_time.FromDatetime(due)
        yield request


async def create(stub: Any, dues: list[datetime]) -> float:
    """Create them all; answers how many a second."""
    requests = list(batches(dues))
    room = asyncio.Semaphore(IN_FLIGHT)

    async def feed() -> AsyncIterator[pb.StreamCreateInstancesRequest]:
        for request in requests:
            await room.acquire()
            yield request

    began, created = time.perf_counter(), 0
    async for answer in stub.StreamCreateInstances(feed()):
        room.release()
        if answer.failures:
            raise RuntimeError(f"create failed: {answer.failures[0]}")
        created += len(answer.ids)
    return created / (time.perf_counter() - began)


async def counts(admin: Any) -> dict[int, int]:
    stats = await admin.GetStats(pb.GetStatsRequest())
    return {row.state: row.count for row in stats.states}


async def until_drained(admin: Any) -> dict[int, int]:
    while True:
        by_state = await counts(admin)
        if not by_state[pb.STATE_PENDING] and not by_state[pb.STATE_RUNNING]:
            return by_state
        await asyncio.sleep(0.02)


async def burst(channel: grpc.aio.Channel, count: int) -> dict[str, float]:
    """So many due at one instant: how fast they are created, run and durably ended."""
    stub, admin = rpc.InstanceServiceStub(channel), rpc.AdminServiceStub(channel)
    before = (await counts(admin))[pb.STATE_SUCCEEDED]
    due = datetime.now(UTC) + timedelta(seconds=2 + count / 10_000)
    rate = await create(stub, [due] * count)
    await asyncio.sleep(max(0.0, (due - datetime.now(UTC)).total_seconds()))
    began = time.perf_counter()
    after = await until_drained(admin)
    seconds = time.perf_counter() - began
    return {
        "created_per_second": round(rate),
        "ended_per_second": round(count / seconds),
        "lost": count - (after[pb.STATE_SUCCEEDED] - before),
    }


async def lateness(channel: grpc.aio.Channel, rate: int, seconds: int) -> dict[str, float]:
    """So many due each second, evenly: how late their code began, by what was stored."""
    stub, admin = rpc.InstanceServiceStub(channel), rpc.AdminServiceStub(channel)
    start = datetime.now(UTC) + timedelta(seconds=5)
    dues = [start + timedelta(seconds=n / rate) for n in range(rate * seconds)]
    await create(stub, dues)
    await asyncio.sleep((dues[-1] - datetime.now(UTC)).total_seconds())
    await until_drained(admin)
    late = [ms async for ms in _late_ms(stub, start)]
    late.sort()
    return {
        "count": len(late),
        "early": sum(ms < 0 for ms in late),
        "p50_ms": statistics.median(late),
        "p99_ms": late[int(len(late) * 0.99)],
        "max_ms": late[-1],
    }


async def _late_ms(stub: Any, start: datetime) -> AsyncIterator[float]:
    request = pb.ListInstancesRequest(page_size=1000)
    request.filter.start_time.FromDatetime(start)
    while True:
        page = await stub.ListInstances(request)
        for instance in page.instances:
            yield (
                instance.start_time.ToNanoseconds() - instance.execution_time.ToNanoseconds()
            ) / 1e6
        if not page.next_page_token:
            return
        request.page_token = page.next_page_token


async def measure(options: argparse.Namespace) -> dict[str, Any]:
    async with server() as channel:
        bursts = [await burst(channel, options.burst) for _ in range(options.runs)]
        late = await lateness(channel, options.rate, options.seconds)
    return {
        "machine": {"cores": os.cpu_count(), "python": platform.python_version()},
        "versions": {name: version(name) for name in ("later-core", "grpcio", "motor", "pymongo")},
        "burst": {"count": options.burst, "runs": bursts},
        "lateness": {"rate": options.rate, **late},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--burst", type=int, default=20_000, help="instances due at one instant")
    parser.add_argument("--runs", type=int, default=3, help="bursts, one after the other")
    parser.add_argument("--rate", type=int, default=500, help="instances due each second")
    parser.add_argument("--seconds", type=int, default=20, help="for so long")
    print(json.dumps(asyncio.run(measure(parser.parse_args())), indent=2))


if __name__ == "__main__":
    main()
