"""``later serve --nodes``: several processes behind one port, each a whole node."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pymongo
import pytest

from later_core.client.client import Client
from later_core.client.errors import SERVER_UNREACHABLE, RpcError
from later_core.model.node import ListedNode
from later_core.model.state import State
from later_core.ports.clock import SystemClock

CLOCK = SystemClock()

pytestmark = pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks at /proc")


@pytest.fixture
async def several(serve: Any, mongodb_uri: str, database: str) -> Any:
    """A server of two nodes."""
    return await serve(
        mongodb_uri=mongodb_uri,
        database=database,
        nodes="2",
        lease="2s",
        grace="2s",
        bash_enabled="true",
    )


async def until_nodes(
    address: str, holds: Callable[[Mapping[int, ListedNode]], bool], seconds: float = 40
) -> Mapping[int, ListedNode]:
    """The living nodes by their process, once they are as wanted."""
    async with asyncio.timeout(seconds):
        while True:
            try:
                async with Client(address) as client:
                    listed = await client.nodes()
            except RpcError as error:
                # The connection may have been to the one that is gone.
                if error.reason != SERVER_UNREACHABLE:
                    raise
                listed = []
            living = {process_of(node): node for node in listed if node.status.is_alive}
            if holds(living):
                return living
            await CLOCK.sleep(0.1)


def process_of(node: ListedNode) -> int:
    return int(node.status.node.id.rsplit("-", 2)[1])


def children_of(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def has_grpc(pid: int) -> bool:
    return "cygrpc" in Path(f"/proc/{pid}/maps").read_text()


def name_of(pid: int) -> str:
    return Path(f"/proc/{pid}/comm").read_text().strip()


async def until_gone(pids: list[int]) -> None:
    async def gone(pid: int) -> None:
        while True:
            try:
                os.kill(pid, 0)
            except ProcessLookupError:
                return
            await CLOCK.sleep(0.05)

    waits: list[Awaitable[None]] = [gone(pid) for pid in pids]
    async with asyncio.timeout(30):
        for wait in waits:
            await wait


async def test_two_nodes_at_one_address(several: Any) -> None:
    nodes = await until_nodes(several.address, lambda nodes: len(nodes) == 2)
    assert set(nodes) == set(children_of(several.pid))
    assert {node.status.node.address for node in nodes.values()} == {several.address}
    assert sum(node.buckets for node in nodes.values()) == 256


async def test_a_killed_node_is_replaced_and_nothing_is_lost(
    several: Any, ledger: Any, tmp_path: Path
) -> None:
    before = await until_nodes(several.address, lambda nodes: len(nodes) == 2)
    starts = tmp_path / "starts"
    starts.touch()
    note = f'echo "$LATER_INSTANCE_ID $LATER_ATTEMPT" >> {starts}'
    requests = [
        replace(ledger.bash(f"i{n}", f"{note}; sleep 1"), delay=timedelta(milliseconds=50 * n))
        for n in range(100)
    ]
    async with Client(several.address) as client:
        await ledger.create(client, requests)
        await ledger.until_states(client, lambda counts: counts[State.SUCCEEDED] >= 5)
    killed = next(iter(before))
    os.kill(killed, signal.SIGKILL)
    after = await until_nodes(
        several.address, lambda nodes: len(nodes) == 2 and killed not in nodes
    )
    assert len(set(after) - set(before)) == 1
    assert "node ended, another is started" in several.log
    async with Client(several.address) as client:
        found = await ledger.until_ended(client)
    assert found.keys() == {request.id for request in requests}
    assert Counter(instance.state for instance in found.values()) == {State.SUCCEEDED: 100}
    assert max(Counter(starts.read_text().splitlines()).values()) == 1
    assert len({instance.node for instance in found.values()}) >= 2


async def test_sigterm_leaves_no_process_of_nodes_and_embedded_database(
    serve: Any, tmp_path: Path
) -> None:
    server = await serve(data_dir=str(tmp_path / "data"), nodes="2", lease="2s")
    await until_nodes(server.address, lambda nodes: len(nodes) == 2)
    children = children_of(server.pid)
    assert Counter(name_of(pid) == "mongod" for pid in children) == {True: 1, False: 2}
    await server.stop()
    await until_gone(children)


async def test_a_second_signal_cuts_short_what_still_runs(
    serve: Any, mongodb_uri: str, database: str, ledger: Any
) -> None:
    server = await serve(
        mongodb_uri=mongodb_uri,
        database=database,
        nodes="2",
        lease="1s",
        grace="10m",
        bash_enabled="true",
    )
    await until_nodes(server.address, lambda nodes: len(nodes) == 2)
    async with Client(server.address) as client:
        await ledger.create(client, [ledger.bash("long", "sleep 600")])
        await ledger.until_states(client, lambda counts: counts[State.RUNNING] == 1)
    children = children_of(server.pid)
    # What a terminal does on Ctrl-C, twice.
    os.killpg(server.pid, signal.SIGINT)
    async with asyncio.timeout(30):
        while "stopping" not in server.log:
            await CLOCK.sleep(0.05)
    os.killpg(server.pid, signal.SIGINT)
    await server.ended(code=130)
    await until_gone(children)
    assert "error:" not in server.log


async def test_the_nodes_go_down_with_a_parent_that_is_killed(several: Any) -> None:
    await until_nodes(several.address, lambda nodes: len(nodes) == 2)
    children = children_of(several.pid)
    await several.kill()
    await until_gone(children)


async def test_the_parent_of_the_nodes_does_without_grpc(several: Any) -> None:
    await until_nodes(several.address, lambda nodes: len(nodes) == 2)
    (child, *_) = children_of(several.pid)
    assert not has_grpc(several.pid)
    assert has_grpc(child)


async def test_what_only_a_person_can_mend_is_said_once_and_ends_it(
    prepare: Any, mongodb_uri: str, database: str
) -> None:
    with pymongo.MongoClient(mongodb_uri) as mongo:
        mongo[database].meta.insert_one({"_id": "schema", "version": 999})
    said = await prepare(mongodb_uri=mongodb_uri, database=database, nodes="2").refuse()
    assert said.count("upgrade later-core") == 1


async def test_a_second_server_on_the_port_is_refused(
    several: Any, prepare: Any, mongodb_uri: str, database: str
) -> None:
    await until_nodes(several.address, lambda nodes: len(nodes) == 2)
    for nodes in ("1", "2"):
        other = prepare(
            mongodb_uri=mongodb_uri, database=database, nodes=nodes, listen=several.address
        )
        assert "cannot listen" in await other.refuse()
