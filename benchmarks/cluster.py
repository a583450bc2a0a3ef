"""One, two and three real nodes on one MongoDB: what another node brings, and what it costs.

Starts a mongod and so many ``later serve`` on loopback, all on this machine's cores together with
this client. For each number of nodes, on a database of its own:

- creates: instances due in a day, streamed through all nodes at once; created per second
- burst: instances due at one instant; ended per second, from that instant to the last end
- lateness: instances due evenly at a fixed rate; how long after its time the task's code began

A task of the benchmark notes each start in a ledger, which is compared with the database: lost,
started twice in one attempt, early. Prints one JSON object to stdout, and a table to stderr.

    python benchmarks/cluster.py --nodes 1 2 3
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
from asyncio.subprocess import Process
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

import grpc
import pymongo

from later_core.client.client import Client
from later_core.client.errors import RpcError
from later_core.rpc.v1 import later_pb2 as pb
from later_core.stores.mongo.binary import find_mongod

BATCH = 1_000
IN_FLIGHT = 4  # batches under way on one stream
PARAMETERS = b"x" * 100
PATIENCE = 300.0
TICKS = os.sysconf("SC_CLK_TCK")

TASK = """
import os
import time

from later_core import PluginSetting, Task, hookimpl


class Noted(Task):
    name = "noted"

    def __init__(self, ledger):
        self._ledger = os.open(ledger, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    async def run(self, context):
        at = time.time_ns()
        os.write(self._ledger, f"{context.instance.id} {context.attempt} {at}\\n".encode())


@hookimpl
def later_settings():
    return [PluginSetting(name="ledger", default="", description="File to append starts to.")]


@hookimpl
def later_tasks(settings):
    return [Noted(settings["ledger"])]
"""


@dataclass
class Cluster:
    """What runs: the nodes with a stream to each, and past them MongoDB itself."""

    nodes: list[Process]
    channels: list[grpc.aio.Channel]
    mongod: Process
    instances: Any
    ledger: Path

    def cpu(self) -> dict[str, float]:
        """Seconds of CPU so far: of all nodes, of MongoDB, of this client."""
        return {
            "nodes": sum(cpu_of(node.pid) for node in self.nodes),
            "mongod": cpu_of(self.mongod.pid),
            "client": time.process_time(),
        }


def cpu_of(pid: int) -> float:
    words = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(words[11]) + int(words[12])) / TICKS


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def until(holds: Callable[[], bool], seconds: float = PATIENCE) -> None:
    async with asyncio.timeout(seconds):
        while not holds():  # noqa: ASYNC110 -- other processes set no event here
            await asyncio.sleep(0.1)


@asynccontextmanager
async def running(log: Path, *command: str, **variables: str) -> AsyncIterator[Process]:
    """The process for the length of the block; what it said is shown where it did not end well."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("LATER_")} | variables
    with log.open("wb") as out:
        process = await asyncio.create_subprocess_exec(
            *command, env=environment, stdout=out, stderr=out
        )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        if await process.wait():
            show(log)


def show(log: Path) -> None:
    print(log.read_text(errors="replace")[-4000:], file=sys.stderr)


@asynccontextmanager
async def cluster(count: int) -> AsyncIterator[Cluster]:
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        uri, mongod = await start_mongod(stack, folder)
        installed = install(folder / "installed")
        addresses = [f"127.0.0.1:{free_port()}" for _ in range(count)]
        nodes = [
            await stack.enter_async_context(
                running(
                    folder / f"node-{n}.log",
                    *(sys.executable, "-m", "later_core.cli", "serve"),
                    PYTHONPATH=str(installed),
                    XDG_CONFIG_HOME=str(folder),
                    LATER_LISTEN=address,
                    LATER_MONGODB_URI=uri,
                    LATER_LEDGER=str(folder / "ledger"),
                    LATER_VERBOSE="0",
                )
            )
            for n, address in enumerate(addresses)
        ]
        await until_joined(addresses)
        channels = [
            await stack.enter_async_context(grpc.aio.insecure_channel(address))
            for address in addresses
        ]
        mongo = stack.enter_context(_client(uri))
        yield Cluster(nodes, channels, mongod, mongo["later"]["instances"], folder / "ledger")


def _client(uri: str) -> pymongo.MongoClient[dict[str, Any]]:
    return pymongo.MongoClient(uri, serverSelectionTimeoutMS=60_000)


async def start_mongod(stack: AsyncExitStack, folder: Path) -> tuple[str, Process]:
    port = free_port()
    data = folder / "mongo"
    data.mkdir()
    mongod = await stack.enter_async_context(
        running(
            folder / "mongod.log",
            *(str(find_mongod()), f"--dbpath={data}", "--replSet=rs0", f"--port={port}"),
            *("--bind_ip=127.0.0.1", "--nounixsocket", "--oplogSize=4000"),
        )
    )
    uri = f"mongodb://127.0.0.1:{port}/?directConnection=true"
    with _client(uri) as mongo:
        member = {"_id": 0, "host": f"127.0.0.1:{port}"}
        mongo.admin.command("replSetInitiate", {"_id": "rs0", "members": [member]})
        await until(lambda: mongo.admin.command("hello")["isWritablePrimary"], 60)
    return uri, mongod


def install(place: Path) -> Path:
    """A distribution with the task, as an installer leaves it."""
    record = place / "later_noted-1.0.dist-info"
    record.mkdir(parents=True)
    (place / "later_noted.py").write_text(TASK)
    (record / "METADATA").write_text("Metadata-Version: 2.1\nName: later-noted\nVersion: 1.0\n")
    (record / "entry_points.txt").write_text("[later]\nnoted = later_noted\n")
    return place


async def until_joined(addresses: Sequence[str]) -> None:
    """Until each node serves and shares with all the others."""
    for address in addresses:
        async with asyncio.timeout(60), Client(address) as client:
            while True:
                try:
                    shares = [node.buckets for node in await client.nodes()]
                except RpcError:
                    shares = []
                if len(shares) == len(addresses) and sum(shares) == 256:
                    break
                await asyncio.sleep(0.1)
    await asyncio.sleep(2)  # within two heartbeats every node knows of the last


def requests_of(dues: Sequence[tuple[str, datetime]]) -> list[bytes]:
    """Batches ready for the wire, so that the client costs as little as it can."""
    requests = []
    for at in range(0, len(dues), BATCH):
        request = pb.StreamCreateInstancesRequest()
        for id, due in dues[at : at + BATCH]:
            one = request.requests.add(id=id, task="noted", parameters=PARAMETERS)
            one.execution_time.FromDatetime(due)
        requests.append(request.SerializeToString())
    return requests


async def create(channels: Sequence[grpc.aio.Channel], requests: Sequence[bytes]) -> float:
    """Send the batches through all nodes, each to the next one; seconds until all are stored."""

    async def through(channel: grpc.aio.Channel, share: Sequence[bytes]) -> None:
        room = asyncio.Semaphore(IN_FLIGHT)

        async def feed() -> AsyncIterator[bytes]:
            for request in share:
                await room.acquire()
                yield request

        call = channel.stream_stream(
            "/later.v1.InstanceService/StreamCreateInstances",
            # The requests are bytes already, made before the clock runs.
            request_serializer=None,
            response_deserializer=pb.StreamCreateInstancesResponse.FromString,
        )
        async for answer in call(feed()):
            room.release()
            if answer.failures:
                raise RuntimeError(f"create failed: {answer.failures[0]}")

    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for n, channel in enumerate(channels):
            group.create_task(through(channel, requests[n :: len(channels)]))
    return time.perf_counter() - began


def not_ended(cluster: Cluster, prefix: str) -> int:
    query = {"state": {"$in": ["PENDING", "RUNNING"]}, "_id": {"$regex": f"^{prefix}"}}
    return int(cluster.instances.count_documents(query, hint="due"))


async def account(cluster: Cluster, dues: dict[str, datetime], prefix: str) -> dict[str, Any]:
    """Wait for the end of all; what the ledger and the database say of them."""
    await until(lambda: not not_ended(cluster, prefix))
    found = list(
        cluster.instances.find(
            {"_id": {"$regex": f"^{prefix}"}}, {"state": 1, "finish_time": 1, "node": 1}
        )
    )
    starts: dict[tuple[str, str], list[int]] = {}
    for line in cluster.ledger.read_text().splitlines():
        id, attempt, at = line.split()
        if id.startswith(prefix):
            starts.setdefault((id, attempt), []).append(int(at))
    late = sorted(
        at / 1e6 - dues[id].timestamp() * 1e3 for (id, _), all_at in starts.items() for at in all_at
    )
    return {
        "lost": len(dues) - sum(one["state"] == "SUCCEEDED" for one in found),
        "twice": sum(len(all_at) - 1 for all_at in starts.values()),
        "early": sum(ms < 0 for ms in late),
        "late_ms": {
            "p50": round(statistics.median(late), 1),
            "p99": round(late[int(len(late) * 0.99)], 1),
            "max": round(late[-1], 1),
        },
        "last_end": max(one["finish_time"] for one in found).replace(tzinfo=UTC),
        "shares": sorted(Counter(one["node"] for one in found).values()),
    }


def spent(cluster: Cluster, before: dict[str, float], count: int) -> dict[str, float]:
    """Microseconds of CPU for each instance."""
    after = cluster.cpu()
    return {who: round((after[who] - before[who]) / count * 1e6) for who in after}


async def creates(cluster: Cluster, count: int) -> dict[str, Any]:
    due = datetime.now(UTC) + timedelta(days=1)
    requests = requests_of([(f"c{n}", due) for n in range(count)])
    before = cluster.cpu()
    seconds = await create(cluster.channels, requests)
    cpu = spent(cluster, before, count)
    stored = cluster.instances.count_documents({"_id": {"$regex": "^c"}})
    cluster.instances.delete_many({})
    return {"per_second": round(count / seconds), "lost": count - stored, "cpu_us": cpu}


async def burst(cluster: Cluster, count: int, turn: int) -> dict[str, Any]:
    prefix = f"b{turn}-"
    due = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=4 + count / 5_000)
    dues = {f"{prefix}{n}": due for n in range(count)}
    await create(cluster.channels, requests_of(list(dues.items())))
    await asyncio.sleep((due - datetime.now(UTC)).total_seconds() - 0.5)
    before = cluster.cpu()
    found = await account(cluster, dues, prefix)
    seconds = (found.pop("last_end") - due).total_seconds()
    return {
        "ended_per_second": round(count / seconds),
        **found,
        "cpu_us": spent(cluster, before, count),
    }


async def lateness(cluster: Cluster, rate: int, seconds: int) -> dict[str, Any]:
    count = rate * seconds
    start = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=4 + count / 5_000)
    dues = {
        # The database keeps whole milliseconds: what is not one would be rounded up.
        f"l{n}": start + timedelta(milliseconds=n * 1000 // rate)
        for n in range(count)
    }
    await create(cluster.channels, requests_of(list(dues.items())))
    await asyncio.sleep((start - datetime.now(UTC)).total_seconds() - 0.5)
    before = cluster.cpu()
    await asyncio.sleep(seconds)
    found = await account(cluster, dues, "l")
    found.pop("last_end")
    return {"rate": rate, **found, "cpu_us": spent(cluster, before, count)}


async def measure(options: argparse.Namespace) -> dict[str, Any]:
    by_nodes = {}
    for count in options.nodes:
        async with cluster(count) as held:
            by_nodes[count] = {
                "creates": [await creates(held, options.creates) for _ in range(options.runs)],
                "bursts": [await burst(held, options.burst, turn) for turn in range(options.runs)],
                "lateness": await lateness(held, options.rate, options.seconds),
            }
    return {
        "machine": {"cores": os.cpu_count(), "load_before": options.load},
        "versions": {
            "python": platform.python_version(),
            "mongod": options.mongod,
            **{name: version(name) for name in ("later-core", "grpcio", "motor", "pymongo")},
        },
        "nodes": by_nodes,
    }


def table(measured: dict[str, Any]) -> str:
    """The median of the runs, for each number of nodes."""

    def median(runs: list[dict[str, Any]], key: str) -> str:
        return f"{statistics.median(run[key] for run in runs):,.0f}"

    def cpu(runs: list[dict[str, Any]]) -> str:
        return " / ".join(
            f"{statistics.median(run['cpu_us'][who] for run in runs):.0f}"
            for who in ("nodes", "mongod")
        )

    rows: dict[str, list[str]] = {}
    for held in measured["nodes"].values():
        late = held["lateness"]
        ended = [*held["bursts"], late]
        cells = {
            "creates a second": median(held["creates"], "per_second"),
            "CPU of a create, µs: nodes / mongod": cpu(held["creates"]),
            "burst: ended a second": median(held["bursts"], "ended_per_second"),
            "CPU of an instance, µs: nodes / mongod": cpu(held["bursts"]),
            f"lateness at {late['rate']} a second, ms: p50 / p99 / max": " / ".join(
                f"{late['late_ms'][key]:g}" for key in ("p50", "p99", "max")
            ),
            "lost, started twice, early": ", ".join(
                str(sum(run[key] for run in ended)) for key in ("lost", "twice", "early")
            ),
        }
        for name, cell in cells.items():
            rows.setdefault(name, []).append(cell)
    heads = [f"{count} node{'s' * (int(count) > 1)}" for count in measured["nodes"]]
    lines = [("", *heads), ("---",) * (len(heads) + 1), *((k, *v) for k, v in rows.items())]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, nargs="+", default=[1, 2, 3], help="how many nodes")
    parser.add_argument("--creates", type=int, default=60_000, help="instances to stream")
    parser.add_argument("--burst", type=int, default=20_000, help="instances due at one instant")
    parser.add_argument("--runs", type=int, default=3, help="of creates and bursts, each")
    parser.add_argument("--rate", type=int, default=500, help="instances due each second")
    parser.add_argument("--seconds", type=int, default=20, help="for so long")
    options = parser.parse_args()
    options.load = os.getloadavg()[0]
    with os.popen(f"'{find_mongod()}' --version") as said:
        options.mongod = said.readline().split("v")[-1].strip()
    measured = asyncio.run(measure(options))
    print(json.dumps(measured, indent=2))
    print(table(measured), file=sys.stderr)


if __name__ == "__main__":
    main()
