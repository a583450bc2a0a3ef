"""The examples of the Python client, as they stand in the docs, against the real server."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from later_core.client.client import Client
from later_core.model.instance import NewInstance
from later_core.model.state import State

EXAMPLES = Path(__file__).resolve().parents[2] / "docs" / "examples"


@asynccontextmanager
async def running(server: Any, *arguments: str) -> AsyncIterator[Process]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, *arguments),
        env={**os.environ, "LATER_ADDRESS": server.address},  # noqa: TID251 - for a child
        stdout=PIPE,
        stderr=PIPE,
    )
    try:
        async with asyncio.timeout(90):
            yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def output_of(server: Any, example: str) -> str:
    async with running(server, str(EXAMPLES / example)) as process:
        output, errors = await process.communicate()
        assert (process.returncode, errors.decode()) == (0, "")
        return output.decode()


async def read_until(process: Process, wanted: str) -> list[str]:
    assert process.stdout is not None
    lines: list[str] = []
    while line := (await process.stdout.readline()).decode().strip():
        lines.append(line)
        if line.startswith(wanted):
            return lines
    raise AssertionError(f"it ended without {wanted!r}: {lines}")


async def test_ten_thousand_are_created(server: Any, client: Client) -> None:
    assert await output_of(server, "create_many.py") == "10000 created, 0 failed\n"
    assert (await client.stats()).counts.by_state[State.PENDING] == 10_000
    # Once more is as good as once.
    assert await output_of(server, "create_many.py") == "10000 created, 0 failed\n"
    assert (await client.stats()).counts.by_state[State.PENDING] == 10_000


async def test_a_watch_goes_on_through_a_killed_server(server: Any, client: Client) -> None:
    def far(id: str) -> NewInstance:
        return NewInstance(id=id, task="echo", delay=timedelta(hours=1))

    async with running(server, str(EXAMPLES / "watch.py")) as process:
        await read_until(process, "watching")
        await client.create(far("before"))
        lines = await read_until(process, "before")
        await server.kill()
        lines += await read_until(process, "broken")
        await server.start()
        async with Client(server.address) as again:
            await again.create(far("between"))
        lines += await read_until(process, "between")
        assert [line for line in lines if line.endswith("PENDING")] == [
            "before PENDING",
            "between PENDING",
        ]
        process.send_signal(signal.SIGINT)


async def test_an_end_is_waited_for(server: Any) -> None:
    assert await output_of(server, "wait.py") == "SUCCEEDED good morning\n"


async def test_a_script_without_asyncio(server: Any) -> None:
    output = await output_of(server, "sync_client.py")
    assert output == "good morning\n['tomorrow']\nINSTANCE_ENDED\n"


async def test_ctrl_c_ends_a_script_that_waits(server: Any, client: Client) -> None:
    script = (
        "from later_core.client import SyncClient\n"
        "try:\n"
        "    with SyncClient.from_environment() as client:\n"
        "        for _ in client.watch():\n"
        "            print('watching', flush=True)\n"
        "except KeyboardInterrupt:\n"
        "    print('interrupted', flush=True)\n"
    )
    async with running(server, "-c", script) as process:
        await read_until(process, "watching")
        process.send_signal(signal.SIGINT)
        output, errors = await process.communicate()
        assert (process.returncode, errors.decode()) == (0, "")
        assert output.decode().endswith("interrupted\n")
        while (await client.stats()).subscribers:
            pass  # each turn is a call to the server; the deadline above decides
