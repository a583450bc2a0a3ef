"""What the feeds cost: the news that each node of a cluster reads, and every change, for subscribers.

A real mongod, and Later's own store on it. A history is made first: instances are created, claimed and
ended, in batches. Then it is read as a node reads it, by one reader and by several processes at once.
Counted are the bytes of an event on the wire, and the CPU that an instance takes: of the reading
process, and of mongod for each reader. And what a look for the runs of dead nodes takes
(``recover``), which every node does twice a lease, for each instance that runs anywhere. Prints one
JSON object.

    python benchmarks/cluster_feed.py --instances 20000 --readers 1 3
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import aclosing, contextmanager
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

import bson
import pymongo

from later_core.model.instance import Instance
from later_core.model.outcome import Ending
from later_core.model.state import State
from later_core.ports.clock import SystemClock
from later_core.stores.mongo.binary import find_mongod
from later_core.stores.mongo.store import MongoStore
from later_core.testing.builders import a_node, an_instance
from later_core.testing.store_contract.steps import moment_of

BATCH = 1_000
PARAMETERS = b"x" * 100
TICKS = os.sysconf("SC_CLK_TCK")


def _client(uri: str) -> pymongo.MongoClient[dict[str, Any]]:
    return pymongo.MongoClient(uri, serverSelectionTimeoutMS=60_000)


def cpu_of(pid: int) -> float:
    words = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(words[11]) + int(words[12])) / TICKS


@contextmanager
def mongod() -> Iterator[tuple[str, int]]:
    """A replica set of one; its URI and process."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(
            [
                *(find_mongod(), f"--dbpath={folder}", "--replSet=rs0", f"--port={port}"),
                *("--bind_ip=127.0.0.1", "--nounixsocket", "--oplogSize=4000"),
            ],
            stdout=subprocess.DEVNULL,
        )
        try:
            uri = f"mongodb://127.0.0.1:{port}/?directConnection=true"
            with _client(uri) as client:
                member = {"_id": 0, "host": f"127.0.0.1:{port}"}
                client.admin.command("replSetInitiate", {"_id": "rs0", "members": [member]})
                while not client.admin.command("hello")["isWritablePrimary"]:
                    time.sleep(0.1)
            yield uri, process.pid
        finally:
            process.terminate()
            process.wait()


def store_on(uri: str) -> MongoStore:
    return MongoStore(uri=uri, database="later", retention=timedelta(days=1), clock=SystemClock())


async def first_position(store: MongoStore) -> str:
    async with aclosing(store.follow(None)) as batches:
        async for batch in batches:
            return batch.position
    raise AssertionError("a feed begins with a bookmark")


def ending(instance: Instance) -> Ending:
    now = instance.execution_time
    return Ending(
        id=instance.id,
        node="node-a",
        attempt=instance.attempt,
        state=State.SUCCEEDED,
        start_time=now,
        end_time=now,
        execution_time=None,
        uncounted_attempts=0,
        result=b"",
        error=None,
    )


async def make_history(store: MongoStore, count: int) -> None:
    """Create, claim, end: what an instance goes through that succeeds at once."""
    now = await moment_of(store)
    for at in range(0, count, BATCH):
        batch = [
            an_instance(f"i{n}", execution_time=now, parameters=PARAMETERS)
            for n in range(at, at + BATCH)
        ]
        await store.insert(batch)
        claimed = await store.claim([each.id for each in batch], node="node-a", until=now)
        await store.finish([ending(each) for each in claimed])


async def look_for_lost_runs(uri: str, pid: int, count: int, looks: int = 10) -> dict[str, float]:
    """So many instances run on a node that lives: nothing is lost, and that has to be found out."""
    store = store_on(uri)
    await store.open()
    await store.beat(a_node("node-a"), lease=timedelta(hours=1))
    now = await moment_of(store)
    for at in range(0, count, BATCH):
        ids = [f"r{n}" for n in range(at, at + BATCH)]
        await store.insert([an_instance(id, execution_time=now) for id in ids])
        await store.claim(ids, node="node-a", until=now)
    began, cpu = time.perf_counter(), cpu_of(pid)
    for _ in range(looks):
        assert not await store.recover(limit=BATCH)
    took = {
        "us_per_running_instance": (time.perf_counter() - began) / looks / count * 1e6,
        "mongod_cpu_us_per_running_instance": (cpu_of(pid) - cpu) / looks / count * 1e6,
    }
    await store.close()
    return {name: round(us, 2) for name, us in took.items()}


async def read(uri: str, feed: str, position: str, events: int) -> dict[str, float]:
    """Read so many events of ``news`` or ``follow`` as a node does; what that took."""
    store = store_on(uri)
    await store.open()
    seen, began, cpu = 0, time.perf_counter(), time.process_time()
    async with aclosing(getattr(store, feed)(position)) as batches:
        async for batch in batches:
            seen += len(batch.events)
            if seen >= events:
                break
    took = {"seconds": time.perf_counter() - began, "cpu": time.process_time() - cpu}
    await store.close()
    return took


def bytes_of_an_event(uri: str, position: str) -> float:
    """By the reply of the server to the same question; the mean of a thousand."""
    with _client(uri) as client:
        pipeline: list[Any] = [
            {"$changeStream": {"fullDocument": "required", "resumeAfter": {"_data": position}}},
            {"$project": {"operationType": 1, "wallTime": 1, "fullDocument": 1}},
        ]
        command = {"aggregate": "instances", "pipeline": pipeline, "cursor": {"batchSize": BATCH}}
        documents = client["later"].command(command)["cursor"]["firstBatch"]
        return sum(len(bson.encode(one)) for one in documents) / len(documents)


def read_side_by_side(readers: int, *asked: Any) -> list[dict[str, float]]:
    """So many processes, each of which reads all of it."""
    words = [sys.executable, __file__, "--read", json.dumps(asked)]
    processes = [subprocess.Popen(words, stdout=subprocess.PIPE) for _ in range(readers)]
    return [json.loads(process.communicate()[0]) for process in processes]


async def prepare(uri: str, count: int) -> str:
    store = store_on(uri)
    await store.open()
    position = await first_position(store)
    await make_history(store, count)
    await store.close()
    return position


def measure(options: argparse.Namespace) -> dict[str, Any]:
    instances = options.instances
    with mongod() as (uri, pid):
        position = asyncio.run(prepare(uri, instances))
        by_feed: dict[str, dict[int, dict[str, float]]] = {}
        for feed, events in (("news", instances), ("follow", 3 * instances)):
            by_feed[feed] = {}
            for readers in options.readers:
                before = cpu_of(pid)
                took = read_side_by_side(readers, uri, feed, position, events)
                node_cpu = sum(one["cpu"] for one in took) / readers
                mongod_cpu = (cpu_of(pid) - before) / readers
                by_feed[feed][readers] = {
                    "events_per_instance": events / instances,
                    "instances_per_second_each": round(
                        instances / max(one["seconds"] for one in took)
                    ),
                    "node_cpu_us_per_instance": round(node_cpu / instances * 1e6, 1),
                    "mongod_cpu_us_per_instance_and_reader": round(mongod_cpu / instances * 1e6, 1),
                }
        return {
            "machine": {"cores": os.cpu_count(), "python": platform.python_version()},
            "versions": {name: version(name) for name in ("later-core", "motor", "pymongo")},
            "instances": options.instances,
            "bytes_per_event": round(bytes_of_an_event(uri, position)),
            **by_feed,
            "look_for_lost_runs": asyncio.run(look_for_lost_runs(uri, pid, options.instances)),
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--instances", type=int, default=20_000, help="in whole thousands")
    parser.add_argument("--readers", type=int, nargs="+", default=[1, 3], help="nodes at once")
    parser.add_argument("--read", help=argparse.SUPPRESS)  # one reader: URI, feed, position, events
    options = parser.parse_args()
    if options.read:
        print(json.dumps(asyncio.run(read(*json.loads(options.read)))))
    else:
        print(json.dumps(measure(options), indent=2))


if __name__ == "__main__":
    main()
