"""What a cluster costs in calls of its store: nodes by the dozen on a fake clock and the reference store.

The nodes are whole ones, without their gRPC servers. Counted are the calls of each node a second while
nothing happens, then under a load that comes through all nodes alike; claims that another node was
faster with; and what a node that joins and one that leaves set in motion. The counts depend on no
machine. Prints one JSON object to stdout, and a table to stderr.

    python benchmarks/cluster_calls.py --nodes 3 10 50
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import statistics
import sys
import time
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from itertools import pairwise
from typing import Any

from later_core.app import RunningNode, node
from later_core.local.membership import Membership, owner_of
from later_core.model.bucket import BUCKETS
from later_core.model.event import EventBatch
from later_core.model.instance import NewInstance
from later_core.model.instant import EPOCH
from later_core.model.node import NodeStatus
from later_core.settings import load
from later_core.stores.memory import MemoryStore
from later_core.telemetry.logs import configure_logging
from later_core.testing.builders import a_node
from later_core.testing.clock import FakeClock
from later_core.testing.simulation import loop
from later_core.testing.tasks import GivenTasks, RecordingTask

#: How long a call is on its way, in seconds, there and back.
WAY = 0.001
#: When instances are due that clients create, in seconds from then, as many of each. What is due
#: between 0.5 and 1 s after its creation is taken in twice: by who created it, and by its owner.
DELAYS = (0.0, 0.3, 0.75, 2.0, 20.0)


class CountedStore(MemoryStore):
    """The reference store; every call of a node takes its time and is counted."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__(clock=clock)
        self.calls: Counter[str] = Counter()
        #: What the calls carried: ids asked for, ids won, entries read, events told.
        self.carried: Counter[str] = Counter()
        self._time = clock

    def __getattribute__(self, name: str) -> Any:
        method = super().__getattribute__(name)
        if name not in COUNTED:
            return method

        async def call(*args: Any, **kwargs: Any) -> Any:
            self.calls[name] += 1
            await self._time.sleep(WAY)
            answer = await method(*args, **kwargs)
            if name == "claim":
                self.carried["asked"] += len(args[0])
                self.carried["won"] += len(answer)
            elif name == "due":
                self.carried["entries"] += len(answer)
            await self._time.sleep(WAY)
            return answer

        return call

    async def news(self, position: str | None) -> AsyncGenerator[EventBatch, None]:
        async for batch in super().news(position):
            self.carried["events"] += len(batch.events)
            yield batch


COUNTED = frozenset(
    {"now", "beat", "nodes", "recover", "reclaim", "due", "claim", "started", "finish", "insert"}
)


class Bench:
    """A cluster, and time in our hand."""

    def __init__(self, clock: FakeClock, store: CountedStore, group: asyncio.TaskGroup) -> None:
        self.clock = clock
        self.store = store
        self.nodes: dict[str, RunningNode] = {}
        self._group = group
        self._stops: dict[str, asyncio.Event] = {}

    def join(self, name: str) -> None:
        """A node starts; time must pass until it has joined."""
        self._stops[name] = asyncio.Event()
        self._group.create_task(self._live(name, self._stops[name]))

    def leave(self, name: str) -> None:
        """A node stops in order; time must pass until it has gone."""
        self._stops.pop(name).set()

    async def _live(self, name: str, stop: asyncio.Event) -> None:
        async with node(
            self.store,
            GivenTasks(RecordingTask()),
            load({}),
            self.clock,
            stop=stop,
            new_id=lambda: name,
            watch_loop=False,
        ) as parts:
            assert parts is not None
            self.nodes[name] = parts
            await stop.wait()
            del self.nodes[name]

    def marks(self) -> tuple[Counter[str], Counter[str]]:
        """What was called and carried so far."""
        return self.store.calls.copy(), self.store.carried.copy()

    async def load(
        self, rate: int, seconds: int, chance: random.Random, *, joins: str | None = None
    ) -> None:
        """Creates at this rate on average, each through any node, until all have ended; for the
        second third of the time there may be one node more.
        """
        count = rate * seconds
        async with asyncio.TaskGroup() as requests:
            for n in range(count):
                if joins and n == count // 3:
                    self.join(joins)
                if joins and n == count * 2 // 3:
                    self.leave(joins)
                await self.clock.advance(chance.expovariate(rate))
                # Ids of our own, so that they fall in the same buckets each time.
                request = NewInstance(
                    id=f"i-{joins}-{n}",
                    task="record",
                    delay=timedelta(seconds=chance.choice(DELAYS)),
                )
                through = self.nodes[chance.choice(sorted(self.nodes))]
                requests.create_task(through.instances.create(request))
            await self.clock.advance(1)
        await self.clock.advance(max(DELAYS) + 5)


@asynccontextmanager
async def cluster(count: int) -> AsyncIterator[Bench]:
    clock = FakeClock()
    clock.quiet_turns = 1  # there are no sockets to wait for
    async with asyncio.TaskGroup() as group:
        bench = Bench(clock, CountedStore(clock), group)
        for n in range(count):
            bench.join(f"node-{n}")
        await clock.advance(5)  # all have heard of all
        yield bench
        for name in sorted(bench.nodes):
            bench.leave(name)
        await clock.advance(10)


async def measure(count: int, options: argparse.Namespace) -> dict[str, Any]:
    chance = random.Random(options.seed)
    async with cluster(count) as bench:
        marks = [bench.marks()]
        # One whole recurrence, so that the pulls of the window are in it.
        await bench.clock.advance(options.idle)
        marks.append(bench.marks())
        await bench.load(options.rate, options.seconds, chance)
        marks.append(bench.marks())
        await bench.load(options.rate, options.seconds, chance, joins="another")
        marks.append(bench.marks())
        bench.join("another")
        await bench.clock.advance(5)
        marks.append(bench.marks())
        bench.leave("another")
        await bench.clock.advance(5)
        marks.append(bench.marks())
    idle, steady, moving, join, leave = (
        (after[0] - before[0], after[1] - before[1]) for before, after in pairwise(marks)
    )
    instances = options.rate * options.seconds
    return {
        "idle_calls_per_node_and_second": {
            name: round(calls / count / options.idle, 3) for name, calls in sorted(idle[0].items())
        },
        "events_per_instance_and_node": round(steady[1]["events"] / count / instances, 2),
        "failed_claims": {
            "instances": instances,
            "steady": steady[1]["asked"] - steady[1]["won"],
            "while_one_joins_and_leaves": moving[1]["asked"] - moving[1]["won"],
        },
        "reads_of_all_nodes": {"join": join[0]["due"], "leave": leave[0]["due"]},
        "buckets": moved_buckets(count),
        "share_out_ms": share_out(count),
    }


def share_out(count: int) -> dict[str, float]:
    """What it takes a node to find its buckets anew: of nodes that it sees for the first time, and
    of those that it knows with another one among them. The only figures here of this machine.
    """

    def took(names: Sequence[str]) -> float:
        nodes = [NodeStatus(node=a_node(name), beat_time=EPOCH) for name in names]
        began = time.perf_counter()
        assert membership.update(names[0], nodes)
        return round((time.perf_counter() - began) * 1e3, 2)

    membership = Membership(tasks=["echo"])
    names = [f"stranger-{count}-{n}" for n in range(count + 1)]
    return {"first": took(names[:-1]), "one_more": took(names)}


def moved_buckets(count: int, trials: int = 200) -> dict[str, Any]:
    """How the buckets are spread, and how many change their owner as one node more comes."""
    moved, fewest, most = [], [], []
    for trial in range(trials):
        names = [f"host-{trial}-{n}" for n in range(count + 1)]
        before = [owner_of(bucket, names[:-1]) for bucket in range(BUCKETS)]
        after = [owner_of(bucket, names) for bucket in range(BUCKETS)]
        moved.append(sum(a != b for a, b in zip(before, after, strict=True)))
        shares = Counter(before)
        fewest.append(min(shares[name] for name in names[:-1]))
        most.append(max(shares.values()))
    return {
        "moved_by_a_join": round(statistics.mean(moved), 1),
        "fewest_of_a_node": round(statistics.mean(fewest), 1),
        "most_of_a_node": round(statistics.mean(most), 1),
        "mean": round(BUCKETS / count, 1),
    }


def table(measured: dict[int, dict[str, Any]]) -> str:
    def idle(one: dict[str, Any], *names: str) -> str:
        calls = one["idle_calls_per_node_and_second"]
        return " / ".join(f"{calls.get(name, 0):.2f}" for name in names)

    rows: dict[str, list[str]] = {}
    for one in measured.values():
        failed, buckets = one["failed_claims"], one["buckets"]
        cells = {
            "calls of an idle node a second: `beat` / `nodes` / `recover` / `due`": idle(
                one, "beat", "nodes", "recover", "due"
            ),
            "events that each node reads of an instance": f"{one['events_per_instance_and_node']}",
            "failed claims for 1,000 instances: steady, while one joins and leaves": ", ".join(
                f"{failed[name] * 1000 / failed['instances']:.0f}"
                for name in ("steady", "while_one_joins_and_leaves")
            ),
            "reads of `due` by all nodes as one joins, as it leaves": (
                f"{one['reads_of_all_nodes']['join']}, {one['reads_of_all_nodes']['leave']}"
            ),
            "finding its buckets among nodes never seen, with one more, ms": (
                f"{one['share_out_ms']['first']:.1f}, {one['share_out_ms']['one_more']:.1f}"
            ),
            "buckets that one more node moves": f"{buckets['moved_by_a_join']}",
            "buckets of a node: fewest / mean / most": (
                f"{buckets['fewest_of_a_node']} / {buckets['mean']} / {buckets['most_of_a_node']}"
            ),
        }
        for name, cell in cells.items():
            rows.setdefault(name, []).append(cell)
    heads = [f"{count} nodes" for count in measured]
    lines = [("", *heads), ("---",) * (len(heads) + 1), *((k, *v) for k, v in rows.items())]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, nargs="+", default=[3, 10, 50], help="how many nodes")
    parser.add_argument("--idle", type=int, default=300, help="seconds without any load")
    parser.add_argument("--rate", type=int, default=50, help="creates a second")
    parser.add_argument("--seconds", type=int, default=20, help="for so long")
    parser.add_argument("--seed", type=int, default=1, help="decides what chance decides")
    options = parser.parse_args()
    configure_logging(verbose=0, format="text", stream=sys.stderr)
    counts: Sequence[int] = options.nodes
    measured = {}
    for count in counts:
        measured[count] = loop.run(partial(measure, count, options))
    print(json.dumps(measured, indent=2))
    print(table(measured), file=sys.stderr)


if __name__ == "__main__":
    main()
