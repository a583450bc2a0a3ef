"""A MongoStore on a database of the test's own, and servers of unusual kinds."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pymongo
import pytest
from pymongo.database import Database
from pymongo.errors import PyMongoError

from later_core.ports.clock import SystemClock
from later_core.stores.mongo.binary import find_mongod
from later_core.stores.mongo.store import MongoStore

_START_SECONDS = 60

MakeStore = Callable[..., MongoStore]
StartMongod = Callable[..., str]


@pytest.fixture
def clock() -> SystemClock:
    return SystemClock()


@pytest.fixture
def make_store(mongodb_uri: str, database: str, clock: SystemClock) -> MakeStore:
    def make(
        uri: str = mongodb_uri, *, name: str = database, retention: timedelta = timedelta(days=7)
    ) -> MongoStore:
        return MongoStore(uri=uri, database=name, retention=retention, clock=clock)

    return make


@pytest.fixture
async def store(make_store: MakeStore) -> AsyncIterator[MongoStore]:
    async with make_store() as store:
        yield store


@pytest.fixture
def raw(mongodb_uri: str, database: str) -> Iterator[Database[dict[str, Any]]]:
    """The same database by the driver alone, for what no promise speaks of."""
    with pymongo.MongoClient[dict[str, Any]](mongodb_uri, tz_aware=True) as client:
        yield client[database]


@pytest.fixture
def start_mongod(tmp_path: Path) -> Iterator[StartMongod]:
    """Starts a mongod with these arguments, on a port of its own; answers its URI."""
    with ExitStack() as stack:
        yield lambda *arguments: stack.enter_context(_mongod(tmp_path, arguments))


@pytest.fixture(scope="module")
def faulty_uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A replica set that can be told to fail (failCommand)."""
    arguments = ("--replSet=rs0", "--setParameter=enableTestCommands=1")
    with _mongod(tmp_path_factory.mktemp("faulty"), arguments) as uri:
        with pymongo.MongoClient[dict[str, Any]](uri) as client:
            client.admin.command("replSetInitiate")
            _await(lambda: client.admin.command("hello")["isWritablePrimary"])
        yield uri


@pytest.fixture
def fail(faulty_uri: str) -> Iterator[Callable[..., None]]:
    """Makes the next calls of these commands fail, as often as said."""
    with pymongo.MongoClient[dict[str, Any]](faulty_uri) as client:

        def fail(*commands: str, times: int = 1, **how: Any) -> None:
            client.admin.command(
                {
                    "configureFailPoint": "failCommand",
                    "mode": {"times": times},
                    "data": {"failCommands": list(commands), **how, "appName": "later"},
                }
            )

        yield fail
        client.admin.command({"configureFailPoint": "failCommand", "mode": "off"})


@contextmanager
def _mongod(directory: Path, arguments: tuple[str, ...]) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    data = directory / str(port)
    data.mkdir()
    process = subprocess.Popen(
        [
            str(find_mongod()),
            f"--dbpath={data}",
            f"--logpath={data / 'mongod.log'}",
            f"--port={port}",
            "--bind_ip=127.0.0.1",
            "--nounixsocket",
            "--wiredTigerCacheSizeGB=0.25",
            *arguments,
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    uri = f"mongodb://127.0.0.1:{port}/?directConnection=true"
    try:
        with pymongo.MongoClient[dict[str, Any]](uri) as client:
            _await(lambda: client.admin.command("hello"))
        yield uri
    finally:
        process.kill()
        process.wait()


def _await(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + _START_SECONDS  # noqa: TID251 -- a real process
    while True:
        try:
            if condition():
                return
        except PyMongoError:
            pass  # it is still on its way; the deadline decides
        assert time.monotonic() < deadline, "mongod did not start"  # noqa: TID251 -- as above
        time.sleep(0.02)  # noqa: TID251 -- a real process is asked again
