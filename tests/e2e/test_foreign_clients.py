"""Clients that are none of ours, as their users would write them: Node's gRPC, and grpcurl in a shell."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from later_core.client.client import Client
from later_core.model.instance import NewInstance
from later_core.model.state import State

FOREIGN = Path(__file__).resolve().parents[1] / "foreign"


@asynccontextmanager
async def running(command: Sequence[str | Path], **environment: str) -> AsyncIterator[Process]:
    """A program whose lines are read; it is gone afterwards, with all that it started."""
    process = await asyncio.create_subprocess_exec(
        *map(str, command),
        env={**os.environ, **environment},  # noqa: TID251 - for a child
        stdout=PIPE,
        stderr=PIPE,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            os.killpg(process.pid, 9)
        await process.wait()


async def until(process: Process, wanted: str) -> list[str]:
    """The lines up to the one that is wanted."""
    assert process.stdout is not None
    assert process.stderr is not None
    lines: list[str] = []
    async with asyncio.timeout(60):
        while line := (await process.stdout.readline()).decode().strip():
            lines.append(line)
            if line == wanted:
                return lines
        errors = (await process.stderr.read()).decode()
    raise AssertionError(f"it ended without {wanted!r}: {lines}\n{errors}")


async def follows_through_a_cut(
    server: Any, client: Client, process: Process, mine: str
) -> list[str]:
    """The lines of a client that creates, follows, is cut, comes back and aborts; it must end well."""
    lines = await until(process, "watching")
    await client.create(NewInstance(id="before", task="echo", delay=timedelta(hours=1)))
    while not any("before" in line for line in lines):
        assert process.stdout is not None
        async with asyncio.timeout(30):
            lines.append((await process.stdout.readline()).decode().strip())
    await server.kill()
    lines += await until(process, "broken")
    await server.start()
    async with Client(server.address) as again:
        await again.create(NewInstance(id="between", task="echo", delay=timedelta(hours=1)))
        await again.create(NewInstance(id="go-on", task="echo", delay=timedelta(hours=1)))
        async with asyncio.timeout(60):
            output, errors = await process.communicate()
        assert process.returncode == 0, errors.decode()
        assert (await again.get(mine)).state is State.ABORTED
    return lines + output.decode().split("\n")


@pytest.fixture(scope="session")
def node_modules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Node client in a folder of its own, with what it depends on."""
    if not (shutil.which("node") and shutil.which("npm")):
        pytest.skip("needs Node and npm, which are not on this machine")
    folder = tmp_path_factory.mktemp("node") / "client"
    shutil.copytree(FOREIGN / "node", folder)
    done = subprocess.run(
        ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=1"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    if done.returncode:
        pytest.skip(f"npm cannot install what the Node client needs: {done.stderr[-300:]}")
    return folder


@pytest.fixture
def protoset(server: Any, grpcurl: Path, tmp_path: Path) -> Path:
    """The descriptors of the wire, as the server gives them away."""
    written = tmp_path / "later.protoset"
    described = [server.address, "describe", "later.v1.InstanceService"]
    command = [grpcurl, "-plaintext", "-protoset-out", written, *described]
    subprocess.run(command, check=True, capture_output=True, timeout=30)
    return written


def events(lines: Sequence[str], *ids: str) -> list[str]:
    return [line for line in lines if any(id in line for id in ids)]


async def test_node_creates_follows_through_a_cut_and_aborts(
    server: Any, client: Client, protoset: Path, node_modules: Path
) -> None:
    async with running(["node", node_modules / "client.js", server.address, protoset]) as process:
        lines = await follows_through_a_cut(server, client, process, "from-node")
    assert events(lines, "before", "between", "go-on", "from-node") == [
        "EVENT_TYPE_CREATED before STATE_PENDING 1",
        "EVENT_TYPE_CREATED between STATE_PENDING 1",
        "EVENT_TYPE_CREATED go-on STATE_PENDING 1",
        "EVENT_TYPE_UPDATED from-node STATE_ABORTED 2",
    ]


async def test_a_shell_creates_follows_through_a_cut_and_aborts(
    server: Any, client: Client, grpcurl: Path
) -> None:
    command = ["sh", FOREIGN / "client.sh", server.address]
    async with running(command, GRPCURL=str(grpcurl)) as process:
        lines = await follows_through_a_cut(server, client, process, "from-sh")
    assert events(lines, "before", "between", "go-on", "from-sh") == [
        "before STATE_PENDING",
        "between STATE_PENDING",
        "go-on STATE_PENDING",
        "from-sh STATE_ABORTED",
    ]


def test_the_lock_file_names_no_registry() -> None:
    assert '"resolved"' not in (FOREIGN / "node" / "package-lock.json").read_text(encoding="utf-8")
