"""A command never outlives its call: not by timeout, abort, nor the death of the server."""

# ruff: noqa: ASYNC110, ASYNC220, ASYNC222, ASYNC240, TID251 -- asks other processes

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from later_plugin_bash import process
from later_plugin_bash.process import HALF_KEPT, Finished, Output, bash, run_command

ENV = {"PATH": "/usr/local/bin:/usr/bin:/bin"}

SERVER = """
import asyncio, sys
from later_plugin_bash.process import run_command
asyncio.run(run_command(sys.argv[1], env={"PATH": "/usr/bin:/bin"}, cwd=None, stdin=b""))
"""


def is_alive(pid: int) -> bool:
    """Whether the process runs; a zombie of another parent does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def until_dead(pid: int) -> None:
    async with asyncio.timeout(10):
        while is_alive(pid):
            await asyncio.sleep(0.01)  # the kernel tells nobody but the parent


async def pids_in(path: Path, count: int) -> list[int]:
    async with asyncio.timeout(10):
        while not path.exists() or len(path.read_text().split()) < count:
            await asyncio.sleep(0.01)  # a file written by another process
    return [int(pid) for pid in path.read_text().split()]


async def command(text: str, **settings: str) -> Finished:
    return await run_command(text, env=ENV | settings, cwd=None, stdin=b"")


async def test_a_timeout_ends_bash_its_children_and_theirs(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    text = f"echo $$ >>{pids}; bash -c 'echo $$ >>{pids}; sleep 60 & echo $! >>{pids}; wait'; true"
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1):
            await command(text)
    found = await pids_in(pids, 3)
    for pid in found:
        await until_dead(pid)
    with pytest.raises(ChildProcessError):
        os.waitpid(found[0], os.WNOHANG)  # collected: no zombie is left


async def test_a_command_that_ignores_sigterm_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "GRACE", 0.2)
    pids = tmp_path / "pids"
    async with asyncio.TaskGroup() as group:
        text = f"trap '' TERM; sleep 60 & echo $$ $! >>{pids}; while true; do wait; done"
        running = group.create_task(command(text))
        found = await pids_in(pids, 2)
        running.cancel()
    for pid in found:
        await until_dead(pid)


async def test_a_command_may_clean_up_at_sigterm(tmp_path: Path) -> None:
    pids, cleaned = tmp_path / "pids", tmp_path / "cleaned"
    async with asyncio.TaskGroup() as group:
        text = f"trap 'touch {cleaned}; exit' TERM; echo $$ >>{pids}; sleep 60 & wait"
        running = group.create_task(command(text))
        await pids_in(pids, 1)
        running.cancel()
    assert cleaned.exists()


async def test_a_second_cancellation_does_not_leave_anything_behind(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    async with asyncio.TaskGroup() as group:
        text = f"trap '' TERM; echo $$ >>{pids}; while true; do sleep 0.1; done"
        running = group.create_task(command(text))
        (pid,) = await pids_in(pids, 1)
        running.cancel()
        await asyncio.sleep(0.05)  # the first cancellation is now in its grace
        running.cancel()
    await until_dead(pid)


@pytest.mark.parametrize("rounds", range(8))
async def test_a_cancellation_at_any_moment_leaves_nothing_behind(
    tmp_path: Path, rounds: int
) -> None:
    pids = tmp_path / "pids"
    async with asyncio.TaskGroup() as group:
        running = group.create_task(command(f"echo $$ >>{pids}; sleep 60; true"))
        for _ in range(rounds):
            await asyncio.sleep(0)  # one turn of the event loop
        running.cancel()
    if pids.exists():
        for pid in await pids_in(pids, 0):
            await until_dead(pid)


async def test_what_is_left_in_the_group_ends_with_bash(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    finished = await command(f"sleep 60 & echo $! >>{pids}; echo done")
    assert finished == Finished(exit_code=0, stdout="done\n", stderr="", truncated=False)
    for pid in await pids_in(pids, 1):
        await until_dead(pid)


async def test_what_left_the_group_lives_on_and_is_not_waited_for(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    async with asyncio.timeout(10):
        finished = await command(f"setsid sleep 60 & echo $! >>{pids}; echo done")
    assert finished.stdout == "done\n"
    (pid,) = await pids_in(pids, 1)
    assert is_alive(pid)
    os.kill(pid, signal.SIGKILL)


async def test_output_that_comes_just_after_bash_is_not_lost() -> None:
    finished = await command("echo early; (sleep 0.2; echo late) & exit 0")
    assert finished.stdout == "early\nlate\n"


async def test_a_command_does_not_block_the_event_loop() -> None:
    turns = 0
    async with asyncio.TaskGroup() as group:
        running = group.create_task(command("sleep 0.3"))
        while not running.done():
            turns += 1
            await asyncio.sleep(0.01)  # counts the turns that the loop still takes
    assert turns > 10


async def test_fifty_at_once_leave_no_open_file_behind() -> None:
    await command("true")
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 -- names are counted
    async with asyncio.TaskGroup() as group:
        runs = [group.create_task(command(f"echo {n}; exit {n}")) for n in range(50)]
    assert [run.result().exit_code for run in runs] == list(range(50))
    await asyncio.sleep(0)  # pipes close in the next turn
    assert len(os.listdir("/proc/self/fd")) <= before  # noqa: PTH208 -- names are counted


@pytest.mark.skipif(len(bash()) == 1, reason="no setpriv on this machine")
async def test_the_command_dies_with_a_server_that_is_killed(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    server = subprocess.Popen(
        [
            sys.executable,
            "-c",
            SERVER,
            f"echo $$ >>{pids}; while true; do sleep 0.1; done",
        ]
    )
    (pid,) = await pids_in(pids, 1)
    server.kill()
    server.wait()
    await until_dead(pid)


@given(st.lists(st.integers(min_value=1, max_value=50_000), max_size=12))
def test_any_output_keeps_its_two_ends_and_counts_the_rest(sizes: list[int]) -> None:
    data = bytes(65 + n % 26 for n in range(sum(sizes)))
    output, at = Output(), 0
    for size in sizes:
        output.data_received(data[at : at + size])
        at += size
    text = output.text()
    if len(data) <= 2 * HALF_KEPT:
        assert text.encode() == data
        assert not output.is_truncated
    else:
        left_out = len(data) - 2 * HALF_KEPT
        assert output.is_truncated
        head, tail = text.encode().split(f"\n[{left_out} bytes left out]\n".encode())
        assert (head, tail) == (data[:HALF_KEPT], data[-HALF_KEPT:])
