"""``later serve`` with no MongoDB given: it brings its own, and never leaves it behind."""

from __future__ import annotations

import os
import signal
from datetime import timedelta
from pathlib import Path
from typing import Any

from later_core.client.client import Client
from later_core.errors import StoreUnavailable
from later_core.model.instance import NewInstance
from later_core.model.state import State
from later_core.ports.clock import SystemClock


def mongods_of(data_dir: Path) -> list[str]:
    wanted = f"--dbpath={data_dir}/mongodb/db".encode()
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdecimal() and wanted in (entry / "cmdline").read_bytes().split(b"\0"):
                found.append(entry.name)
        except OSError:
            continue  # it ended meanwhile
    return found


async def test_it_survives_kill_9_and_ctrl_c_with_its_data(
    prepare: Any, ledger: Any, tmp_path: Path
) -> None:
    data_dir = tmp_path / "data"
    server = prepare(data_dir=str(data_dir), lease="2s", grace="2s")
    await server.start()
    async with Client(server.address) as client:
        await client.create(NewInstance(id="soon", task="echo"))
        await client.create(NewInstance(id="later", task="echo", delay=timedelta(seconds=3)))
    await server.kill()

    await server.start()
    assert len(mongods_of(data_dir)) == 1
    async with Client(server.address) as client:
        found = await ledger.until_ended(client)
    assert {id: instance.state for id, instance in found.items()} == {
        "soon": State.SUCCEEDED,
        "later": State.SUCCEEDED,
    }
    # What a terminal does: to every process of the group at once.
    os.killpg(server.pid, signal.SIGINT)
    await server.ended()
    assert mongods_of(data_dir) == []
    assert "Traceback" not in server.log


async def test_a_second_server_on_the_same_data_refuses_and_names_the_first(
    prepare: Any, tmp_path: Path
) -> None:
    first, second = (prepare(data_dir=str(tmp_path / "data")) for _ in range(2))
    await first.start()
    said = await second.refuse()
    assert f"is in use by process {first.pid}" in said
    assert "Traceback" not in said
    async with Client(first.address) as client:
        assert await client.health()


async def test_its_database_is_started_again_when_it_dies(
    prepare: Any, ledger: Any, tmp_path: Path
) -> None:
    data_dir = tmp_path / "data"
    server = prepare(data_dir=str(data_dir), lease="2s")
    await server.start()
    async with Client(server.address, deadline=timedelta(seconds=20)) as client:
        await client.create(NewInstance(id="one", task="echo", delay=timedelta(seconds=1)))
        (mongod,) = mongods_of(data_dir)
        os.kill(int(mongod), signal.SIGKILL)
        clock = SystemClock()
        while mongods_of(data_dir) in ([], [mongod]):
            await clock.sleep(0.05)
        await server.until_health(is_serving=True)
        # So short was it away that the server may only learn of it by what is asked now.
        found = await ledger.until_ended(client, passing={StoreUnavailable.reason})
    assert found["one"].state is State.SUCCEEDED
