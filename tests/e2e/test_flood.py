"""A flood of creates upon a whole server: what is due runs, memory stays bounded, what is taken is kept."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest

from later_core.client.client import Client
from later_core.client.errors import from_call
from later_core.model.instance import NewInstance
from later_core.model.limits import CREATES_HELD_BYTES
from later_core.model.state import State
from later_core.ports.clock import SystemClock
from later_core.rpc.v1 import later_pb2 as pb
from later_core.rpc.v1.later_pb2_grpc import InstanceServiceStub

CLOCK = SystemClock()
MEBIBYTE = 2**20
#: Twice as much as may be held, in requests of a quarter of a mebibyte.
FLOOD = 2 * CREATES_HELD_BYTES // (MEBIBYTE // 4)

pytestmark = pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks at /proc")


def most_memory(pid: int) -> int:
    """The most that the process has held so far, in bytes."""
    line = next(
        line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if "VmHWM" in line
    )
    return int(line.split()[1]) * 1024


async def create(stub: InstanceServiceStub, id: str, parameters: bytes) -> str:
    request = pb.CreateInstanceRequest(id=id, task="echo", parameters=parameters)
    request.delay.FromTimedelta(timedelta(days=1))
    try:
        await stub.CreateInstance(request, timeout=60)
    except grpc.aio.AioRpcError as error:
        return from_call(error, address="").reason
    return "OK"


async def test_a_flood_neither_stops_what_is_due_nor_fills_the_memory(
    serve: Any, mongodb_uri: str, database: str
) -> None:
    server = await serve(mongodb_uri=mongodb_uri, database=database)
    before = most_memory(server.pid)
    parameters = bytes(MEBIBYTE // 4)
    async with Client(server.address) as client, server.channel() as channel:
        due = [
            NewInstance(task="echo", id=f"due-{n}", delay=timedelta(milliseconds=1000 + 20 * n))
            for n in range(100)
        ]
        await client.create_many(due)
        stub = InstanceServiceStub(channel)
        async with asyncio.TaskGroup() as group:
            flood = {
                f"flood-{n}": group.create_task(create(stub, f"flood-{n}", parameters))
                for n in range(FLOOD)
            }
        answers = {id: call.result() for id, call in flood.items()}
        assert set(answers.values()) <= {"OK", "SERVER_OVERLOADED"}, Counter(answers.values())
        async with asyncio.timeout(60):
            while [i for n in due if not (i := await client.get(n.id or "")).state.is_final]:
                await CLOCK.sleep(0.1)
        for request in due:
            instance = await client.get(request.id or "")
            assert (instance.state, instance.attempt) == (State.SUCCEEDED, 1)
        stored = {instance.id async for instance in client.list() if instance.parameters}
        assert stored == {id for id, answer in answers.items() if answer == "OK"}
    # What is held, once as it came and once on its way to the database, and what Python keeps of it.
    assert most_memory(server.pid) - before < 6 * CREATES_HELD_BYTES
