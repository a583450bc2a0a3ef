"""A server as its own process, in any environment."""

# ruff: noqa: TID251 -- the servers here are other processes, and their environment is made for them

import asyncio
import json
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from later_core.client.client import Client
from later_core.model.instance import Instance
from later_core.model.state import State


@dataclass(frozen=True, slots=True)
class Served:
    """A server that answers."""

    address: str
    process: asyncio.subprocess.Process


@pytest.fixture
def serve(mongodb_uri: str) -> Callable[..., AbstractAsyncContextManager[Served]]:
    """Runs ``later serve`` with an interpreter, on a database, with more flags."""

    @asynccontextmanager
    async def serve(python: str | Path, database: str, *flags: str) -> AsyncIterator[Served]:
        process = await asyncio.create_subprocess_exec(
            *(python, "-m", "later_core.cli", "serve", "--listen", "127.0.0.1:0"),
            *("--log-format", "json", "--mongodb-uri", mongodb_uri, "--database", database),
            *flags,
            stderr=subprocess.PIPE,
            env={k: v for k, v in os.environ.items() if not k.startswith("LATER_")},
        )
        try:
            yield Served(await _address(process), process)
        finally:
            if process.returncode is None:
                process.send_signal(signal.SIGTERM)
            await process.communicate()

    return serve


async def _address(process: asyncio.subprocess.Process) -> str:
    said = b""
    assert process.stderr
    async with asyncio.timeout(60):
        async for line in process.stderr:
            said += line
            if line.startswith(b"{") and json.loads(line)["event"] == "serving":
                return str(json.loads(line)["address"])
    pytest.fail(f"the server ended: {said.decode()}")


@pytest.fixture
def reached() -> Callable[..., Awaitable[Instance]]:
    """Follows an instance until its state is as asked for."""

    async def reached(client: Client, id: str, is_there: Callable[[State], bool]) -> Instance:
        async with asyncio.timeout(30), aclosing(client.watch(include_existing=True)) as batches:
            async for batch in batches:
                for event in batch.events:
                    instance = event.instance
                    if instance and instance.id == id and is_there(instance.state):
                        return instance
        raise AssertionError("the stream ended")

    return reached
