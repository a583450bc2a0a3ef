"""A plugin that crashes, blocks and leaks harms no other: a real server, a hostile plugin, and echo."""

from __future__ import annotations

import sys
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from later_core.client.client import Client
from later_core.model.instance import NewInstance
from later_core.model.retry import RetryPolicy
from later_core.model.state import State
from tests.e2e.installation import installed

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="tasks run in processes of their own on Linux alone"
)

PLUGIN = """
import os
import threading
from datetime import timedelta

from later_core import Breaker, Task, hookimpl


class Crashes(Task):
    name = "crashes"
    run_in = "process"
    concurrency_limit = 1
    breaker = Breaker(crashes=3, within=timedelta(minutes=5), cool_down=timedelta(hours=1))

    def run(self, context):
        os.abort()


class Blocks(Task):
    name = "blocks"

    def run(self, context):
        threading.Event().wait()  # for ever, deaf to its abort


class Leaks(Task):
    name = "leaks"
    run_in = "process"
    concurrency_limit = 1
    memory_limit = 256 * 1024 * 1024

    def run(self, context):
        kept = []
        while True:
            kept.append(bytearray(8 * 1024 * 1024))


class Plain(Task):
    name = "plain"

    def run(self, context):
        return context.parameters


class Spins(Task):
    name = "spins"
    run_in = "process"
    concurrency_limit = 1
    time_limit = timedelta(seconds=1)

    def run(self, context):
        while True:
            pass


@hookimpl
def later_tasks():
    return [Crashes(), Blocks(), Leaks(), Plain(), Spins()]
"""

ONCE = RetryPolicy(max_attempts=1)


@pytest.fixture
def hostile_plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A distribution as an installer leaves it; for the server alone."""
    place = installed(tmp_path, "rude", PLUGIN)
    monkeypatch.setenv("PYTHONPATH", str(place))


@pytest.mark.usefixtures("hostile_plugin")
async def test_echo_and_plain_functions_go_on_beside_a_plugin_that_crashes_blocks_and_leaks(
    serve: Any, ledger: Any, mongodb_uri: str, database: str
) -> None:
    server = await serve(mongodb_uri=mongodb_uri, database=database, grace="1s", threads="8")

    def several(task: str, count: int, **given: Any) -> list[NewInstance]:
        return [
            NewInstance(id=f"{task}-{n}", task=task, parameters=str(n).encode(), **given)
            for n in range(count)
        ]

    rude = [
        *several("crashes", 6, retry=ONCE),
        *several("blocks", 40, retry=ONCE),
        *several("leaks", 3, retry=ONCE),
        *several("spins", 2, retry=ONCE),
    ]
    async with Client(server.address) as client:
        await ledger.create(client, rude)
        # Every thread that it can have is taken, and will never be given back.
        await ledger.until_states(client, lambda counts: counts[State.RUNNING] >= 40)
        good = [
            *several("echo", 200, delay=timedelta(milliseconds=100)),
            *several("plain", 200, delay=timedelta(milliseconds=100)),
        ]
        await ledger.create(client, good)
        # 40 that block are never over; 3 that crash are left alone, behind an open breaker.
        await ledger.until_states(
            client,
            lambda counts: (
                (counts[State.SUCCEEDED], counts[State.FAILED], counts[State.RUNNING])
                == (400, 8, 40)
            ),
        )
        found = await ledger.read(client)
        told = {task.name: task for task in (await client.tasks()).tasks}

    for request in good:
        ended = found[request.id]
        assert (ended.state, ended.result) == (State.SUCCEEDED, request.parameters)
    reasons = Counter(
        (each.task, each.error.reason) for each in found.values() if each.error is not None
    )
    assert reasons == {
        ("crashes", "PROCESS_DIED"): 3,
        ("leaks", "TASK_FAILED"): 3,
        ("spins", "TIMEOUT"): 2,
    }
    assert all("MemoryError" in found[f"leaks-{n}"].error.message for n in range(3))
    left = Counter((each.task, each.state) for each in found.values() if not each.state.is_final)
    assert left == {("blocks", State.RUNNING): 40, ("crashes", State.PENDING): 3}
    assert "breaker open" in server.log
    assert [name for name, task in told.items() if task.is_breaker_open] == ["crashes"]
    assert (told["spins"].limits.time, told["spins"].limits.concurrency) == (
        timedelta(seconds=1),
        1,
    )
    # Threads that never return do not keep it from ending in order.
    await server.stop()
