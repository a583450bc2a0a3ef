"""What judges requests by the rules of the proto is loaded once a request needs it, and not before."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from later_core.client.client import Client
from later_core.model.instance import NewInstance

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="reads what a process has loaded from /proc"
)


def has_loaded_rules(pid: int) -> bool:
    maps = Path(f"/proc/{pid}/maps").read_text(encoding="utf-8")
    return "/protovalidate/" in maps


async def test_plain_creates_stats_and_health_need_none_and_many_first_reads_are_all_answered(
    server,
) -> None:
    async with Client(server.address) as client:
        created = [await client.create(NewInstance(task="echo", parameters=b"x")) for _ in range(3)]
        await client.stats()
        assert await client.health()
        assert not has_loaded_rules(server.pid)

        async with asyncio.TaskGroup() as group:
            reads = [group.create_task(client.get(created[n % 3].id)) for n in range(30)]
        assert {read.result().id for read in reads} == {each.id for each in created}
        assert has_loaded_rules(server.pid)
