"""Two ``later serve`` on one MongoDB: they share the work, and the going of either loses nothing.

The window is filled every five minutes; what a test waits for is over long before that.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from later_core.client.client import Client
from later_core.model.instance import NewInstance
from later_core.model.state import State
from later_core.ports.clock import SystemClock

CLOCK = SystemClock()


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A server, a client of it, and the id under which it is listed."""

    server: Any
    client: Client
    id: str


async def until(holds: Callable[[], bool], seconds: float = 30) -> None:
    """Return once it holds."""
    async with asyncio.timeout(seconds):
        while not holds():
            await CLOCK.sleep(0.05)


@pytest.fixture
async def nodes(serve: Any, mongodb_uri: str, database: str) -> AsyncIterator[tuple[Node, Node]]:
    """Two nodes that know of each other."""
    settings = {
        "mongodb_uri": mongodb_uri,
        "database": database,
        "lease": "2s",
        "grace": "5s",
        "bash_enabled": "true",
    }
    async with AsyncExitStack() as stack, asyncio.TaskGroup() as group:
        starting = [group.create_task(serve(**settings)) for _ in range(2)]
        servers = [await start for start in starting]
        found = []
        for server in servers:
            client = await stack.enter_async_context(Client(server.address))
            found.append(Node(server=server, client=client, id=(await client.stats()).node))
            await until(lambda log=server: re.search("membership changed.*nodes=2", log.log))
        first, second = found
        yield first, second


async def test_both_are_listed_by_both(nodes: tuple[Node, Node]) -> None:
    for node in nodes:
        listed = {each.status.node.id: each for each in await node.client.nodes()}
        assert listed.keys() == {node.id for node in nodes}
        assert all(each.status.is_alive for each in listed.values())
        assert {each.status.node.address for each in listed.values()} == {
            node.server.address for node in nodes
        }
        assert sum(each.buckets for each in listed.values()) == 256
        assert min(each.buckets for each in listed.values()) > 0


async def test_both_take_part_in_what_is_created_through_one(
    nodes: tuple[Node, Node], ledger: Any
) -> None:
    a, b = nodes
    await ledger.create(
        a.client,
        [NewInstance(id=f"i{n}", task="echo", delay=timedelta(seconds=2)) for n in range(100)],
    )
    found = await ledger.until_ended(b.client)
    assert Counter(instance.state for instance in found.values()) == {State.SUCCEEDED: 100}
    assert {instance.attempt for instance in found.values()} == {1}
    ran = Counter(instance.node for instance in found.values())
    assert ran.keys() == {a.id, b.id}
    assert min(ran.values()) > 10


async def test_an_abort_through_one_cancels_the_run_on_the_other(
    nodes: tuple[Node, Node], ledger: Any, tmp_path: Path
) -> None:
    a, b = nodes
    written = tmp_path / "pid"
    # Due at once, so that the node that creates it starts it too.
    await ledger.create(a.client, [ledger.bash("long", f"echo $$ > {written}; exec sleep 600")])
    await until(lambda: written.exists() and bool(written.read_text()))
    assert (await b.client.get("long")).node == a.id
    pid = int(written.read_text())
    _, before = await b.client.abort("long")
    assert before is State.RUNNING
    await until(lambda: not is_running(pid))
    assert (await a.client.get("long")).state is State.ABORTED


async def test_sigterm_of_one_loses_and_delays_nothing(
    nodes: tuple[Node, Node], ledger: Any
) -> None:
    a, b = nodes
    requests = [
        NewInstance(id=f"{name}{n}", task="echo", delay=timedelta(milliseconds=40 * n))
        for n in range(150)
        for name in "ab"
    ]
    for node, name in ((a, "a"), (b, "b")):
        await ledger.create(node.client, [each for each in requests if each.id[0] == name])
    await ledger.until_states(
        b.client, lambda counts: counts[State.SUCCEEDED] >= 20 and counts[State.PENDING] >= 100
    )
    await a.server.stop()
    (left,) = await b.client.nodes()
    assert (left.status.node.id, left.buckets) == (b.id, 256)

    found = await ledger.until_ended(b.client, seconds=30)
    assert found.keys() == {request.id for request in requests}
    assert Counter(instance.state for instance in found.values()) == {State.SUCCEEDED: 300}
    assert {i.attempt - i.uncounted_attempts for i in found.values()} == {1}
    assert {instance.node for instance in found.values()} == {a.id, b.id}


async def test_kill_9_of_one_leaves_its_work_to_the_other(
    nodes: tuple[Node, Node], ledger: Any, tmp_path: Path
) -> None:
    a, b = nodes
    starts = tmp_path / "starts"
    note = f'echo "$LATER_INSTANCE_ID $LATER_ATTEMPT" >> {starts}'
    running = [ledger.bash(f"running{n}", f"{note}; sleep 3") for n in range(10)]
    pending = [
        replace(ledger.bash(f"pending{n}", note), delay=timedelta(milliseconds=4000 + 50 * n))
        for n in range(60)
    ]
    await ledger.create(a.client, [*running, *pending])
    await until(lambda: starts.exists() and starts.read_text().count("\n") == 10)
    await a.server.kill()

    found = await ledger.until_ended(b.client, seconds=40)
    assert Counter(instance.state for instance in found.values()) == {State.SUCCEEDED: 70}
    assert {instance.node for instance in found.values()} == {b.id}
    assert {instance.attempt for instance in found.values() if instance.id[0] == "r"} == {2}
    assert {instance.attempt for instance in found.values() if instance.id[0] == "p"} == {1}
    lines = Counter(starts.read_text().splitlines())
    assert max(lines.values()) == 1, "an attempt was started twice"
    listed = {each.status.node.id: each for each in await b.client.nodes()}
    assert (listed[a.id].status.is_alive, listed[a.id].buckets) == (False, 0)
    assert listed[b.id].buckets == 256


async def test_a_drained_node_leaves_its_work_to_the_other_and_still_answers(
    nodes: tuple[Node, Node], ledger: Any
) -> None:
    a, b = nodes
    later = [NewInstance(id=f"p{n}", task="echo", delay=timedelta(seconds=6)) for n in range(50)]
    await ledger.create(a.client, later)
    await b.client.drain(a.id)
    await a.server.until_health(is_serving=False)
    async with asyncio.timeout(20):
        while not {n.status.node.id: n.status.node.is_drained for n in await b.client.nodes()}[
            a.id
        ]:
            await CLOCK.sleep(0.05)
    at_once = [NewInstance(id=f"now{n}", task="echo") for n in range(50)]
    await ledger.create(a.client, at_once)
    found = await ledger.until_ended(a.client, seconds=30)
    assert Counter(instance.state for instance in found.values()) == {State.SUCCEEDED: 100}
    assert {instance.node for instance in found.values()} == {b.id}


def is_running(pid: int) -> bool:
    """Whether there is such a process."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
