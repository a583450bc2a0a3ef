"""A plain function in a process of its own: killed when it must be, and no harm to the server."""

import asyncio
import importlib
import sys
import textwrap
from contextlib import suppress
from pathlib import Path

import pytest

from later_core.model.outcome import Failed, Succeeded
from later_core.ports.clock import SystemClock
from later_core.testing.tasks import run_task

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="tasks run in processes of their own on Linux alone"
)

MODULE = """
import ctypes, os, pathlib, signal, subprocess, sys, time
from later_core import Task, TaskError

def die(context): os.kill(os.getpid(), signal.SIGKILL)
def crash(context): ctypes.string_at(0)
def leave(context): os._exit(3)
def refuse(context): raise TaskError("no", reason="REFUSED", is_final=True, result=b"page")
def fail(context): raise ValueError("odd")
def shout(context): print("x" * 100_000, flush=True); return "done"
def much(context): return b"x" * (1 << 30)
def big(context): return bytes(900_000)
def echo(context): return context.parameters
def gone(context): return str(context.deadline)
def grow(context):
    held = []
    while True: held.append(bytearray(10_000_000))
def hang(context):
    below = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    path = pathlib.Path(context.parameters.decode())
    path.with_suffix(".new").write_text(f"{os.getpid()} {below.pid}")
    path.with_suffix(".new").rename(path)
    while True: pass

class Apart(Task):
    name = "apart"
    run_in = "process"
    def __init__(self, body): self.body = body
    def run(self, context): return globals()[self.body](context)

class Small(Apart):
    memory_limit = 300_000_000
"""


@pytest.fixture(scope="module")
def apart(tmp_path_factory):
    """The module of the tasks, in a place that only ``sys.path`` names."""
    place = tmp_path_factory.mktemp("apart")
    (place / "tasks_apart.py").write_text(MODULE)
    sys.path.insert(0, str(place))
    try:
        yield importlib.import_module("tasks_apart")
    finally:
        sys.path.remove(str(place))
        del sys.modules["tasks_apart"]


async def test_parameters_go_in_and_the_result_comes_back(apart):
    assert await run_task(apart.Apart("echo"), b"\x00\xff") == Succeeded(result=b"\x00\xff")
    assert await run_task(apart.Apart("big")) == Succeeded(result=bytes(900_000))


async def test_what_it_prints_is_not_taken_for_its_answer(apart):
    assert await run_task(apart.Apart("shout")) == Succeeded(result=b"done")


async def test_what_it_raises_comes_back_as_from_anywhere_else(apart):
    refused = await run_task(apart.Apart("refuse"))
    assert (refused.error.reason, refused.is_final, refused.result) == ("REFUSED", True, b"page")
    failed = await run_task(apart.Apart("fail"))
    assert failed.error.message == "ValueError: odd"
    assert failed.is_crash


@pytest.mark.parametrize(
    ("body", "words"),
    [("die", "SIGKILL"), ("crash", "SIGSEGV"), ("leave", "exit code 3")],
)
async def test_whoever_dies_fails_with_the_reason_in_words(apart, body, words):
    outcome = await run_task(apart.Apart(body))
    assert isinstance(outcome, Failed)
    assert outcome.error.reason == "PROCESS_DIED"
    assert words in outcome.error.message
    assert outcome.is_crash


async def test_a_result_over_the_limit_never_reaches_the_server(apart):
    outcome = await run_task(apart.Apart("much"))
    assert outcome.note.reason == "RESULT_TOO_LARGE"


async def test_a_leak_ends_at_the_memory_limit(apart):
    outcome = await run_task(apart.Small("grow"))
    assert isinstance(outcome, Failed)
    assert "MemoryError" in outcome.error.message


async def pids_in(path):
    for _ in range(600):
        if path.exists():
            return [int(word) for word in path.read_text().split()]
        await SystemClock().sleep(0.05)
    raise AssertionError("it never began")


def is_alive(pid):
    with suppress(FileNotFoundError), suppress(ProcessLookupError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


async def all_gone(pids):
    for _ in range(600):
        if not any(map(is_alive, pids)):
            return True
        await SystemClock().sleep(0.05)
    return False


async def test_a_cancelled_attempt_kills_the_function_and_all_that_it_began(apart, tmp_path):
    path = tmp_path / "pids"
    async with asyncio.TaskGroup() as group:
        attempt = group.create_task(run_task(apart.Apart("hang"), str(path)))
        pids = await pids_in(path)
        assert all(map(is_alive, pids))
        attempt.cancel()
    assert await all_gone(pids)


async def test_nothing_is_left_when_the_server_is_killed(apart, tmp_path):
    path = tmp_path / "pids"
    program = textwrap.dedent(f"""
        import asyncio, sys
        sys.path[:] = {sys.path!r}
        import tasks_apart
        from later_core.testing.tasks import run_task
        asyncio.run(run_task(tasks_apart.Apart("hang"), {str(path)!r}))
    """)
    server = await asyncio.create_subprocess_exec(sys.executable, "-c", program)
    try:
        pids = await pids_in(path)
    finally:
        server.kill()
        await server.wait()
    assert await all_gone(pids)
