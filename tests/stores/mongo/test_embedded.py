"""The private mongod, with real processes. Each start costs about two seconds."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from motor.motor_asyncio import AsyncIOMotorClient
from pymongo.errors import PyMongoError

from later_core.errors import DataDirectoryInUse, MongodFailed, MongodNotFound, SettingInvalid
from later_core.ports.clock import SystemClock
from later_core.stores.mongo import binary as binary_module
from later_core.stores.mongo.binary import find_mongod
from later_core.stores.mongo.embedded import EmbeddedMongo

CLOCK = SystemClock()

HOLDER = """
import asyncio, sys
from pathlib import Path
import structlog
from later_core.ports.clock import SystemClock
from later_core.stores.mongo.embedded import EmbeddedMongo

structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))

async def hold():
    async with EmbeddedMongo(data_dir=Path(sys.argv[1]), clock=SystemClock()) as mongo:
        print(mongo.pid, mongo.uri, flush=True)
        await asyncio.Event().wait()

asyncio.run(hold())
"""


def embedded(data_dir: Path) -> EmbeddedMongo:
    return EmbeddedMongo(data_dir=data_dir, clock=CLOCK)


def holder_of(data_dir: Path) -> subprocess.Popen[str]:
    """Another process that has the directory once it prints the pid and address of its mongod."""
    return subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(data_dir)], stdout=subprocess.PIPE, text=True
    )


def orphan_of(data_dir: Path, socket: Path) -> subprocess.Popen[bytes]:
    """A mongod on that directory which nobody looks after."""
    return subprocess.Popen(
        [
            str(find_mongod()),
            f"--dbpath={data_dir.resolve() / 'mongodb' / 'db'}",
            f"--bind_ip={socket}",
            f"--logpath={socket}.log",
            "--nounixsocket",
            "--replSet=later",
        ],
        stdout=subprocess.DEVNULL,
    )


def mongods_of(data_dir: Path) -> list[int]:
    """The processes that run, or are about to run, mongod on that directory."""
    wanted = f"--dbpath={data_dir.resolve()}/".encode()
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdecimal() and wanted in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue  # it ended meanwhile
    return found


async def until(condition: Callable[[], bool], seconds: float = 30) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await CLOCK.sleep(0.02)


async def write(uri: str, value: int) -> None:
    client: AsyncIOMotorClient[dict[str, int]] = AsyncIOMotorClient(uri, w="majority")
    try:
        await client.kept.values.insert_one({"value": value})
    finally:
        client.close()


async def read(uri: str) -> list[int]:
    client: AsyncIOMotorClient[dict[str, int]] = AsyncIOMotorClient(uri)
    try:
        rows = await client.kept.values.find().sort("value").to_list(None)
    finally:
        client.close()
    return [row["value"] for row in rows]


async def test_data_survive_a_stop_and_no_process_stays(tmp_path: Path) -> None:
    async with embedded(tmp_path) as mongo:
        await write(mongo.uri, 1)
        assert mongods_of(tmp_path) == [mongo.pid]
    assert mongods_of(tmp_path) == []
    assert (tmp_path / "mongodb").stat().st_mode & 0o777 == 0o700
    async with embedded(tmp_path) as mongo:
        assert await read(mongo.uri) == [1]


async def test_a_moved_directory_still_starts(tmp_path: Path) -> None:
    before, after = tmp_path / "before", tmp_path / ("a path too long for a socket " * 4)
    async with embedded(before) as mongo:
        await write(mongo.uri, 1)
    before.rename(after)
    async with embedded(after) as mongo:
        assert await read(mongo.uri) == [1]
        await write(mongo.uri, 2)


async def test_two_on_one_directory_refuse_and_name_the_holder(tmp_path: Path) -> None:
    async with embedded(tmp_path) as mongo:
        with pytest.raises(DataDirectoryInUse, match=f"process {os.getpid()}") as caught:
            await embedded(tmp_path).__aenter__()
        assert caught.value.path == str(tmp_path / "mongodb")
        await write(mongo.uri, 1)  # the first one is not disturbed


async def test_a_server_killed_with_kill_9_leaves_nothing_in_the_way(tmp_path: Path) -> None:
    with holder_of(tmp_path) as holder:
        assert holder.stdout is not None
        first, uri = (await asyncio.to_thread(holder.stdout.readline)).split()
        await write(uri, 1)
        with pytest.raises(DataDirectoryInUse, match=f"process {holder.pid}"):
            await embedded(tmp_path).__aenter__()
        holder.kill()
    # At once: the orphan may still be on its way out.
    async with embedded(tmp_path) as mongo:
        assert mongods_of(tmp_path) == [mongo.pid]
        assert mongo.pid != int(first)
        assert await read(mongo.uri) == [1]
    assert mongods_of(tmp_path) == []


async def test_an_orphan_that_does_not_go_by_itself_is_stopped(tmp_path: Path) -> None:
    (tmp_path / "mongodb" / "db").mkdir(parents=True)
    socket = tmp_path / "other.sock"
    with orphan_of(tmp_path, socket) as orphan:
        try:
            await until(socket.exists)
            async with embedded(tmp_path) as mongo:
                assert orphan.poll() is not None
                await write(mongo.uri, 1)
        finally:
            orphan.kill()


async def test_a_mongod_dies_with_its_server(tmp_path: Path) -> None:
    with holder_of(tmp_path) as holder:
        assert holder.stdout is not None
        await asyncio.to_thread(holder.stdout.readline)
        holder.kill()
    await until(lambda: not mongods_of(tmp_path))


async def test_a_mongod_that_dies_is_started_again_at_the_same_address(tmp_path: Path) -> None:
    async with embedded(tmp_path) as mongo:
        uri, first = mongo.uri, mongo.pid
        assert first is not None
        await write(uri, 1)
        os.kill(first, signal.SIGKILL)
        await until(lambda: mongo.pid not in {None, first})
        assert mongo.uri == uri
        assert await read(uri) == [1]
    assert mongods_of(tmp_path) == []


async def test_leaving_while_it_is_being_restarted_leaves_no_process(tmp_path: Path) -> None:
    async with embedded(tmp_path) as mongo:
        assert mongo.pid is not None
        os.kill(mongo.pid, signal.SIGKILL)
        await until(lambda: mongo.pid is None)
        await until(lambda: mongods_of(tmp_path) != [])
    assert mongods_of(tmp_path) == []


@pytest.mark.parametrize("seen", ["launcher", "socket"])
async def test_a_cancelled_start_leaves_no_process(tmp_path: Path, seen: str) -> None:
    def reached() -> bool:
        return bool(mongods_of(tmp_path)) and (
            seen == "launcher" or (tmp_path / "mongodb" / "mongod.sock").exists()
        )

    async def start() -> None:
        async with embedded(tmp_path):
            pytest.fail("it was cancelled before")

    async with asyncio.TaskGroup() as group:
        task = group.create_task(start())
        await until(reached)
        task.cancel()
    assert task.cancelled()
    assert mongods_of(tmp_path) == []
    (tmp_path / "mongodb" / "server.lock").read_text()


async def test_a_cancelled_body_stops_it_in_order(tmp_path: Path) -> None:
    entered = asyncio.Event()

    async def hold() -> None:
        async with embedded(tmp_path) as mongo:
            await write(mongo.uri, 1)
            entered.set()
            await asyncio.Event().wait()

    async with asyncio.TaskGroup() as group:
        task = group.create_task(hold())
        await entered.wait()
        task.cancel()
    assert mongods_of(tmp_path) == []
    log = (tmp_path / "mongodb" / "mongod.log").read_text()
    assert '"exitCode":0' in log.splitlines()[-1]


async def test_an_error_of_the_body_comes_out_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(LookupError, match="the body's own"):
        async with embedded(tmp_path):
            raise LookupError("the body's own")


async def test_no_mongod_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(binary_module, "_bundled", lambda: None)
    with pytest.raises(MongodNotFound, match=r"later-core\[embedded\]"):
        await embedded(tmp_path).__aenter__()


def test_a_bundled_mongod_that_lost_its_run_bit_gets_it_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundled = tmp_path / "bundled"
    bundled.write_text("#!/bin/sh\n")
    bundled.chmod(0o644)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(binary_module, "_bundled", lambda: bundled)
    assert find_mongod() == bundled
    assert os.access(bundled, os.X_OK)


@pytest.mark.parametrize(
    ("script", "sentence"),
    [
        (
            "#!/bin/sh\necho error while loading shared libraries: libcrypto.so.3 >&2\nexit 127\n",
            "OpenSSL 3",
        ),
        ("#!/bin/sh\necho No space left on device >&2\nexit 100\n", "disk .* is full"),
        ("#!/bin/sh\necho it rains\nexit 3\n", "exit code 3: it rains"),
        ("#!/bin/sh\nkill -ILL $$\n", "processor"),
        ("#!/nowhere/sh\n", "No such file or directory"),
        ("\x7fELF no program", "not made for this machine"),
    ],
)
async def test_a_mongod_that_cannot_run_says_why_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, sentence: str
) -> None:
    (tmp_path / "bin").mkdir()
    fake = tmp_path / "bin" / "mongod"
    fake.write_text(script)
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{fake.parent}:/bin:/usr/bin")
    with pytest.raises(MongodFailed, match=sentence) as caught:
        await embedded(tmp_path).__aenter__()
    assert "\n" not in str(caught.value)


async def test_data_that_cannot_be_read_say_so_with_the_tail_of_the_log(tmp_path: Path) -> None:
    database = tmp_path / "mongodb" / "db"
    database.mkdir(parents=True)
    (database / "storage.bson").write_bytes(b"this was never BSON")
    with pytest.raises(MongodFailed, match=r"exit code|killed by") as caught:
        await embedded(tmp_path).__aenter__()
    assert "storage" in caught.value.log_tail
    assert mongods_of(tmp_path) == []


@pytest.mark.parametrize("place", ["file", "file/below", "nowhere"])
async def test_a_directory_that_cannot_be_used_is_named(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").touch()
    path = Path("/proc/nowhere") if place == "nowhere" else tmp_path / place
    with pytest.raises(SettingInvalid, match=f"data_dir: cannot use {path}"):
        await embedded(path).__aenter__()


async def test_a_large_log_is_set_aside_and_the_one_before_it_removed(tmp_path: Path) -> None:
    home = tmp_path / "mongodb"
    home.mkdir()
    (home / "mongod.log").write_bytes(b"x" * (9 * 1024 * 1024))
    (home / "mongod.log.1").write_bytes(b"y")
    async with embedded(tmp_path):
        assert (home / "mongod.log").stat().st_size < 1024 * 1024
        assert (home / "mongod.log.1").stat().st_size == 9 * 1024 * 1024


async def test_the_address_leads_nowhere_once_it_is_stopped(tmp_path: Path) -> None:
    async with embedded(tmp_path) as mongo:
        uri = mongo.uri + "&serverSelectionTimeoutMS=100"
    with pytest.raises(PyMongoError):
        await read(uri)
