"""``later export`` and ``later import`` against real servers: whole files, broken ones, and going on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from later_core.client.backup import BackupReader

COUNT = 2_500
#: Real seconds after which something that does not happen has failed the test.
PATIENCE = 30.0

Ask = Callable[..., Any]


@pytest.fixture
def source(
    start_server: Callable[..., Any], mongodb_uri: str, database: str, tmp_path: Path
) -> Iterator[Any]:
    """A server with a database of its own."""
    server = start_server(
        f"--mongodb-uri={mongodb_uri}", f"--database={database}", f"--data-dir={tmp_path}"
    )
    yield server
    server.stop()


@pytest.fixture
def of_source(later: Ask, source: Any) -> Ask:
    return lambda *words: later("--address", source.address, *words)


@pytest.fixture
def filled(of_source: Ask) -> None:
    """Some that wait, one that has ended, and a schedule."""
    for number in range(3):
        of_source("create", "echo", "--id", f"waits-{number}", "--in", "1h", "--json")
    of_source("create", "echo", "--id", "aborted", "--in", "1h")
    of_source("abort", "aborted")
    said = of_source("schedules", "create", "echo", "--id", "nightly", "--cron", "0 3 * * *")
    assert said.code == 0, said.err


def delete_all(mongodb_uri: str, database: str) -> None:
    import pymongo

    with pymongo.MongoClient[dict[str, Any]](mongodb_uri) as client:
        client[database]["instances"].delete_many({})
        client[database]["schedules"].delete_many({})


@pytest.mark.usefixtures("filled")
def test_a_backup_brings_everything_back_and_twice_is_once(
    of_source: Ask, mongodb_uri: str, database: str, tmp_path: Path
) -> None:
    file = tmp_path / "all.later"
    before = of_source("list", "--json").records
    said = of_source("export", str(file))
    assert (said.code, said.err) == (0, "")
    size = file.stat().st_size
    assert said.out == f"exported 4 instances and 1 schedule to {file} ({size:,} bytes)\n"
    assert not file.with_name("all.later.part").exists()

    delete_all(mongodb_uri, database)
    looked = of_source("import", str(file), "--dry-run")
    assert looked.out == "instances: 4 would be imported\nschedules: 1 would be imported\n"
    assert of_source("list", "--json").records == []
    assert of_source("import", str(file)).out == "instances: 4 imported\nschedules: 1 imported\n"
    assert of_source("list", "--json").records == before
    again = of_source("import", str(file), "--json").records
    assert again == [
        {"instances": {"existing": 4}, "schedules": {"existing": 1}, "failed": 0, "dryRun": False}
    ]


@pytest.mark.usefixtures("filled")
def test_conditions_choose_and_options_leave_out(
    of_source: Ask, mongodb_uri: str, database: str, tmp_path: Path
) -> None:
    some, all_ = tmp_path / "some", tmp_path / "all"
    said = of_source("export", str(some), "--state", "ABORTED", "--only-instances", "--json")
    (record,) = said.records
    assert (record["instances"], record["schedules"]) == (1, 0)
    of_source("export", str(all_))
    delete_all(mongodb_uri, database)
    said = of_source("import", str(all_), "--only-ended")
    assert said.out == "instances: 1 imported, 3 left out\nschedules: 1 left out\n"
    of_source("import", str(all_), "--paused")
    (schedule,) = of_source("schedules", "list", "--json").records
    assert schedule["schedule"]["isPaused"] is True


@pytest.mark.usefixtures("filled")
def test_others_of_the_same_id_are_named_and_kept_unless_replaced(
    of_source: Ask, mongodb_uri: str, database: str, tmp_path: Path
) -> None:
    file = tmp_path / "all"
    of_source("export", str(file))
    delete_all(mongodb_uri, database)
    of_source("create", "echo", "--id", "waits-1", "--in", "2h")
    said = of_source("import", str(file))
    assert said.code == 1
    assert said.out == "instances: 3 imported\nschedules: 1 imported\n"
    assert said.err.startswith("later: instance 'waits-1' was not imported: instance 'waits-1' is")
    said = of_source("import", str(file), "--replace")
    assert (said.code, said.err) == (0, "")
    assert said.out == "instances: 1 replaced, 3 there already\nschedules: 1 there already\n"


@pytest.mark.usefixtures("filled")
def test_nothing_that_is_there_is_lost_without_a_word(of_source: Ask, tmp_path: Path) -> None:
    file = tmp_path / "all"
    part = tmp_path / "all.part"
    file.write_text("precious")
    said = of_source("export", str(file))
    assert (said.code, said.err) == (1, f"later: error: {file} exists; --force replaces it\n")
    assert file.read_text() == "precious"
    file.unlink()
    part.write_text("half")
    said = of_source("export", str(file))
    assert said.code == 1
    assert "--resume goes on with it, --force begins anew" in said.err
    said = of_source("export", str(file), "--resume")
    assert "not a backup of Later" in said.err
    assert part.read_text() == "half"
    assert of_source("export", str(file), "--force").code == 0
    assert not part.exists()
    said = of_source("export", str(tmp_path / "other"), "--resume")
    assert "nothing to go on with" in said.err


@pytest.mark.usefixtures("filled")
def test_a_damaged_file_is_one_line_and_its_good_parts_can_be_had(
    of_source: Ask, mongodb_uri: str, database: str, tmp_path: Path
) -> None:
    file = tmp_path / "all"
    of_source("export", str(file))
    whole = file.read_bytes()
    delete_all(mongodb_uri, database)
    with file.open("rb") as data:
        reader = BackupReader(data)
        parts = reader.parts()
        while reader.totals.instances < 4:
            next(parts)
        end = reader.size
    for damaged in (
        whole[: end + 20],
        whole[: end + 20] + bytes([whole[end + 20] ^ 1]) + whole[end + 21 :],
    ):
        file.write_bytes(damaged)
        said = of_source("import", str(file))
        assert (said.code, said.out) == (1, "")
        assert said.err.count("\n") == 1
        assert "(4 instances and 0 schedules), is good; nothing was imported" in said.err
    said = of_source("import", str(file), "--partial")
    assert said.code == 0
    assert said.out == "instances: 4 imported\nschedules: none\n"
    assert said.err.startswith("later: warning: ")
    for data in (b"", b"text", whole[:9]):
        file.write_bytes(data)
        said = of_source("import", str(file))
        assert (said.code, said.out, said.err.count("\n")) == (1, "", 1)
    assert of_source("import", str(tmp_path / "none")).err.count("\n") == 1


def run(source: Any, *words: str, **options: Any) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "later_core.cli", "--address", source.address, *words]
    return subprocess.run(command, capture_output=True, timeout=PATIENCE, check=False, **options)


@pytest.mark.usefixtures("filled")
def test_a_backup_goes_through_pipes(source: Any) -> None:
    exported = run(source, "export", "-")
    assert exported.returncode == 0
    assert exported.stderr == b"later: exported 4 instances and 1 schedule\n"
    imported = run(source, "import", "-", input=exported.stdout)
    assert imported.stdout == b"instances: 4 there already\nschedules: 1 there already\n"
    broken = run(source, "import", "-", input=exported.stdout[:-30])
    assert broken.returncode == 1
    assert broken.stderr.count(b"\n") == 1
    assert b"it is cut off" in broken.stderr


def plant(mongodb_uri: str, database: str) -> None:
    """Some that wait, large enough to keep an export busy, by one that has no server."""
    import asyncio
    from datetime import UTC, datetime, timedelta

    from later_core.ports.clock import SystemClock
    from later_core.stores.mongo.store import MongoStore
    from later_core.testing.builders import an_instance

    async def write() -> None:
        due = datetime(2040, 1, 1, tzinfo=UTC)
        async with MongoStore(
            uri=mongodb_uri, database=database, retention=timedelta(days=7), clock=SystemClock()
        ) as store:
            for at in range(0, COUNT, 500):
                some = [
                    an_instance(f"{n:06d}", execution_time=due, parameters=os.urandom(4_000))
                    for n in range(at, at + 500)
                ]
                await store.insert(some)

    asyncio.run(write())


def begun(source: Any, *words: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "later_core.cli", "--address", source.address, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def test_ctrl_c_leaves_a_file_that_can_be_gone_on_with(
    source: Any, of_source: Ask, mongodb_uri: str, database: str, tmp_path: Path
) -> None:
    plant(mongodb_uri, database)
    file, part = tmp_path / "all", tmp_path / "all.part"
    process = begun(source, "export", str(file))
    deadline = time.monotonic() + PATIENCE  # noqa: TID251 -- a real process
    while not (part.exists() and part.stat().st_size > 100_000):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline  # noqa: TID251 -- a real process
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=PATIENCE)
    if process.returncode == 0:
        pytest.skip("the export was through before it heard of Ctrl-C")
    assert process.returncode == 130
    assert f"later export {file} --resume goes on".encode() in errors
    assert not file.exists()
    of_source("create", "echo", "--id", "too late", "--in", "1h")
    other = of_source("export", str(file), "--resume", "--state", "PENDING")
    assert "was asked for with other conditions" in other.err
    said = of_source("export", str(file), "--resume")
    assert (said.code, said.err) == (0, "")
    assert f"exported {COUNT:,} instances and 0 schedules" in said.out
    looked = of_source("import", str(file), "--dry-run")
    assert looked.out == f"instances: {COUNT:,} there already\nschedules: none\n"


def test_an_import_goes_on_behind_a_part(
    source: Any, of_source: Ask, mongodb_uri: str, database: str, tmp_path: Path
) -> None:
    plant(mongodb_uri, database)
    file = tmp_path / "all"
    of_source("export", str(file))
    with file.open("rb") as data:
        sizes = [len(part.instances) for part in BackupReader(data).parts()]
    assert len(sizes) > 3
    delete_all(mongodb_uri, database)
    said = of_source("import", str(file), "--from-part", "3")
    assert said.out == f"instances: {sum(sizes[2:]):,} imported\nschedules: none\n"
    source.stop(signal.SIGKILL)
    said = of_source("import", str(file))
    assert said.code == 1
    assert f"later import {file} --from-part 1 goes on" in said.err
