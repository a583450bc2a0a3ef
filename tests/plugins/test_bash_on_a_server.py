"""The task bash through a whole server: off, on, aborted, and at the server's end."""

# ruff: noqa: ASYNC110, ASYNC240, TID251 -- waits for processes, which set no Event

import asyncio
import json
import shutil
import signal
import sys
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from later_core.client.client import Client
from later_core.model.instance import Instance, NewInstance
from later_core.model.retry import RetryPolicy
from later_core.model.state import State

Serve = Callable[..., AbstractAsyncContextManager[Any]]
Reached = Callable[..., Awaitable[Instance]]

ENABLED = ("--set", "bash_enabled=true")


def bash(command: str, **more: Any) -> NewInstance:
    return NewInstance(task="bash", parameters=command.encode(), **more)


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def until_dead(*pids: int) -> None:
    async with asyncio.timeout(15):
        while any(is_alive(pid) for pid in pids):
            await asyncio.sleep(0.02)


async def pids_in(path: Path, count: int) -> list[int]:
    async with asyncio.timeout(15):
        while not path.exists() or len(path.read_text().split()) < count:
            await asyncio.sleep(0.02)
    return [int(pid) for pid in path.read_text().split()]


async def test_switched_off_it_fails_for_good_whatever_the_retries(
    serve: Serve, reached: Reached, database: str, tmp_path: Path
) -> None:
    async with serve(sys.executable, database) as served, Client(served.address) as client:
        created = await client.create(
            bash(f"touch {tmp_path}/ran", retry=RetryPolicy(max_attempts=3))
        )
        ended = await reached(client, created.id, lambda state: state.is_final)
    assert (ended.state, ended.attempt) == (State.FAILED, 1)
    assert ended.error
    assert ended.error.reason == "BASH_DISABLED"
    assert not (tmp_path / "ran").exists()


async def test_results_failures_timeouts_and_aborts(
    serve: Serve, reached: Reached, database: str, tmp_path: Path
) -> None:
    async with (
        serve(sys.executable, database, *ENABLED) as served,
        Client(served.address) as client,
    ):
        created = await client.create(bash("echo $LATER_ATTEMPT ${LATER_MONGODB_URI-none}"))
        ended = await reached(client, created.id, lambda state: state.is_final)
        assert ended.state is State.SUCCEEDED
        assert json.loads(ended.result)["stdout"] == "1 none\n"

        created = await client.create(bash("echo half; exit 4"))
        ended = await reached(client, created.id, lambda state: state.is_final)
        assert ended.error
        assert (ended.state, ended.error.reason) == (State.FAILED, "EXIT_CODE")
        assert json.loads(ended.result)["exit_code"] == 4

        timed, aborted = tmp_path / "timed", tmp_path / "aborted"
        sleep = "echo $$ >>{0}; sleep 60 & echo $! >>{0}; wait"
        created = await client.create(
            bash(sleep.format(timed), timeout=timedelta(milliseconds=700))
        )
        ended = await reached(client, created.id, lambda state: state.is_final)
        assert ended.error
        assert ended.error.reason == "TIMEOUT"
        await until_dead(*await pids_in(timed, 2))

        created = await client.create(bash(sleep.format(aborted)))
        pids = await pids_in(aborted, 2)
        _, before = await client.abort(created.id)
        assert before is State.RUNNING
        await until_dead(*pids)


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
async def test_a_command_does_not_outlive_the_server(
    serve: Serve, database: str, tmp_path: Path, end: signal.Signals
) -> None:
    if end is signal.SIGKILL and shutil.which("setpriv") is None:
        pytest.skip("no setpriv on this machine")
    flags = (*ENABLED, "--grace", "0")
    async with (
        serve(sys.executable, database, *flags) as served,
        Client(served.address) as client,
    ):
        await client.create(bash(f"echo $$ >>{tmp_path}/pids; while true; do sleep 0.1; done"))
        pids = await pids_in(tmp_path / "pids", 1)
        served.process.send_signal(end)
        await until_dead(*pids)
