"""What every program is given: a MongoDB, a directory, servers and databases of its own."""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import structlog

from benchmarks.harness.processes import name_of
from benchmarks.harness.server import Server
from later_core.ports.clock import SystemClock
from later_core.stores.mongo.connection import Connection, connect
from later_core.stores.mongo.embedded import EmbeddedMongo


class Bench:
    """The surroundings of one run."""

    def __init__(self, *, mongodb_uri: str, directory: Path, seed: int) -> None:
        self.mongodb_uri = mongodb_uri
        self.directory = directory
        self.seed = seed
        self.mongod_pid = 0
        self.mongodb_version = ""
        self._count = 0

    async def prepare(self) -> None:
        """Ask MongoDB who it is.

        Raises:
            RuntimeError: it does not run on this machine, so that its CPU cannot be read.

        """
        connection = connect(self.mongodb_uri, "admin")
        try:
            status = await connection.admin({"serverStatus": 1})
        finally:
            connection.client.close()
        self.mongod_pid, self.mongodb_version = int(status["pid"]), status["version"]
        if name_of(self.mongod_pid) != "mongod":
            raise RuntimeError("MongoDB must run on this machine: its CPU and memory are measured")

    @asynccontextmanager
    async def database(self, name: str) -> AsyncIterator[Connection]:
        """A database of this name and a number, with the options of Later's own connection."""
        self._count += 1
        connection = connect(self.mongodb_uri, f"bench_{name}_{os.getpid()}_{self._count}")
        try:
            yield connection
        finally:
            await connection.client.drop_database(connection.database.name)
            connection.client.close()

    def server(self, connection: Connection, **options: Any) -> Server:
        """A server on that database; options as ``Server`` takes them."""
        self._count += 1
        return Server(
            self.directory / f"server-{self._count}",
            mongodb_uri=self.mongodb_uri,
            database=connection.database.name,
            **options,
        )

    def pids(self, server: Server) -> dict[str, int]:
        """Whose CPU is measured: the server's, MongoDB's, and this process's, the client."""
        return {"server": server.pid, "mongod": self.mongod_pid, "client": os.getpid()}


@asynccontextmanager
async def bench(*, mongodb_uri: str | None, seed: int) -> AsyncIterator[Bench]:
    """The surroundings, with the MongoDB that Later brings along unless another is given."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    with tempfile.TemporaryDirectory(prefix="later-bench-") as folder:
        directory = Path(folder)
        if mongodb_uri is not None:
            yield await _prepared(Bench(mongodb_uri=mongodb_uri, directory=directory, seed=seed))
            return
        async with EmbeddedMongo(data_dir=directory, clock=SystemClock()) as embedded:
            yield await _prepared(Bench(mongodb_uri=embedded.uri, directory=directory, seed=seed))


async def _prepared(bench: Bench) -> Bench:
    await bench.prepare()
    return bench
