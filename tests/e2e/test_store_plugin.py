"""``later serve --nodes`` on a store that a plugin brings: no MongoDB of ours is started."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pymongo
import pytest

from later_core.client.client import Client
from later_core.model.instance import NewInstance
from later_core.model.state import State
from later_core.ports.clock import SystemClock
from tests.e2e.installation import installed

CLOCK = SystemClock()

#: A stranger's store that several processes can share: here too it is a MongoDB, found in another way.
PLUGIN = """
from datetime import timedelta

from later_core import PluginSetting, hookimpl
from later_core.ports.clock import SystemClock
from later_core.stores.mongo.store import MongoStore


@hookimpl
def later_settings():
    return [PluginSetting(name="shelf", default="", description="Where the store is.")]


@hookimpl
def later_store(settings):
    uri, database = settings["shelf"].rsplit(" ", 1)
    return MongoStore(
        uri=uri, database=database, retention=timedelta(days=1), clock=SystemClock()
    )
"""


@pytest.fixture
def store_plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A distribution that brings a store, as an installer leaves it; for the servers alone."""
    place = installed(tmp_path, "shelf", PLUGIN)
    monkeypatch.setenv("PYTHONPATH", str(place))


async def until(holds: Callable[[], bool]) -> None:
    while not holds():
        await CLOCK.sleep(0.05)


@pytest.mark.usefixtures("store_plugin")
async def test_the_nodes_share_the_store_of_the_plugin(
    serve: Any, mongodb_uri: str, database: str, ledger: Any, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    server = await serve(
        shelf=f"{mongodb_uri} {database}", nodes="2", lease="2s", grace="1s", data_dir=str(data)
    )
    with pymongo.MongoClient(mongodb_uri) as mongo:
        async with Client(server.address, deadline=timedelta(seconds=20)) as client:
            requests = [NewInstance(id=f"i{n}", task="echo") for n in range(20)]
            await ledger.create(client, requests)
            found = await ledger.until_ended(client)
            assert {each.state for each in found.values()} == {State.SUCCEEDED}
            # Whichever node answers, both have joined one cluster: that of the plugin's database.
            held = mongo[database]
            await until(lambda: held["nodes"].count_documents({"state": "ALIVE"}) == 2)
            assert held["instances"].count_documents({}) == len(requests)
    assert not data.exists(), "an embedded MongoDB was started beside it"
    await server.stop()
