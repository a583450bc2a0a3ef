"""Three mongods as one replica set, each behind a door of the network."""

from __future__ import annotations

import asyncio
import shutil
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import pymongo
from pymongo.errors import OperationFailure, PyMongoError

from later_core.stores.mongo.binary import find_mongod
from later_core.testing.chaos.network import Network
from later_core.testing.chaos.process import OwnedProcess
from later_core.testing.chaos.waiting import until

NAME = "chaos"
_ELECTION_MILLIS = 2_000
_ALREADY_INITIATED = 23
_READY_SECONDS = 90.0

Document = dict[str, Any]


class Member:
    """One mongod. ``port`` is its own, which only the doors and this account use."""

    def __init__(self, name: str, directory: Path) -> None:
        self.name = name
        self.port = _free_port()
        self.door = 0
        self.data = directory / "data"
        self.data.mkdir(parents=True)
        self.process = OwnedProcess(
            name,
            [
                str(find_mongod()),
                f"--dbpath={self.data}",
                f"--replSet={NAME}",
                "--bind_ip=127.0.0.1",
                f"--port={self.port}",
                "--nounixsocket",
                "--oplogSize=990",
                "--wiredTigerCacheSizeGB=0.25",
                "--setParameter=diagnosticDataCollectionEnabled=false",
            ],
            log=directory / "mongod.log",
            environment={},
        )

    def client(self) -> pymongo.MongoClient[Document]:
        """A direct connection past the doors. Its calls block: make them in a thread."""
        return pymongo.MongoClient(
            "127.0.0.1",
            self.port,
            directConnection=True,
            serverSelectionTimeoutMS=1_000,
            socketTimeoutMS=10_000,
        )

    def hello(self) -> Document:
        """What it says of itself; nothing while it is away."""
        try:
            with self.client() as client:
                return dict(client.admin.command("hello"))
        except PyMongoError:
            return {}


class ReplicaSet:
    """An async context manager: entering starts and initiates it, leaving kills its processes and
    removes the data.
    """

    def __init__(self, network: Network, directory: Path) -> None:
        self._network = network
        self.members = [Member(f"mongo-{n}", directory / f"mongo-{n}") for n in range(3)]

    async def __aenter__(self) -> Self:
        try:
            for member in self.members:
                member.door = await self._network.door(member.name, member.port)
            await self.start(self.members)
            await self._initiate()
            await self.settled()
        except BaseException:
            await self.kill(self.members)
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.kill(self.members)
        for member in self.members:
            # Some hundred megabytes; the log beside it says what there is to know.
            await asyncio.to_thread(shutil.rmtree, member.data, ignore_errors=True)

    @property
    def uri(self) -> str:
        """What the nodes are given: the doors."""
        hosts = ",".join(f"127.0.0.1:{member.door}" for member in self.members)
        return f"mongodb://{hosts}/?replicaSet={NAME}"

    async def start(self, members: Sequence[Member]) -> None:
        """Start these; ``settled`` waits for them."""
        for member in members:
            await member.process.spawn()
            self._network.pids[member.name] = member.process.pid

    async def kill(self, members: Sequence[Member]) -> None:
        """All of these at once, as a power cut does."""
        async with asyncio.TaskGroup() as group:
            for member in members:
                group.create_task(member.process.kill())

    async def settled(self) -> Member:
        """Wait until there is one primary and two secondaries; answers the primary."""

        async def one_and_two() -> bool:
            hellos = await self._hellos()
            primaries = sum(bool(hello.get("isWritablePrimary")) for hello in hellos)
            return primaries == 1 and sum(bool(hello.get("secondary")) for hello in hellos) == 2

        await until("one primary and two secondaries", one_and_two, _READY_SECONDS)
        return await self.primary()

    async def primary(self) -> Member:
        """Wait until there is one; with two of them (the older does not know yet) the younger."""
        found: list[Member] = []

        async def there_is_one() -> bool:
            hellos = await self._hellos()
            leading = [
                (hello["electionId"], place)
                for place, hello in enumerate(hellos)
                if hello.get("isWritablePrimary")
            ]
            found[:] = [self.members[max(leading)[1]]] if leading else []
            return bool(found)

        await until("a primary", there_is_one, _READY_SECONDS)
        return found[0]

    async def read(
        self, database: str, collection: str, query: Document | None = None
    ) -> list[Document]:
        """Every document that matches, from the primary, durable changes only."""
        primary = await self.primary()

        def documents() -> list[Document]:
            with primary.client() as client:
                concern = pymongo.read_concern.ReadConcern("majority")
                held = client[database].get_collection(collection, read_concern=concern)
                return list(held.find(query))

        return await asyncio.to_thread(documents)

    async def _hellos(self) -> list[Document]:
        async with asyncio.TaskGroup() as group:
            asked = [group.create_task(asyncio.to_thread(member.hello)) for member in self.members]
        return [task.result() for task in asked]

    async def _initiate(self) -> None:
        """The members find themselves, and each other, behind the doors."""
        config = {
            "_id": NAME,
            "members": [
                {"_id": n, "host": f"127.0.0.1:{member.door}"}
                for n, member in enumerate(self.members)
            ],
            "settings": {"electionTimeoutMillis": _ELECTION_MILLIS},
        }

        def initiate() -> bool:
            try:
                with self.members[0].client() as client:
                    client.admin.command("replSetInitiate", config)
            except OperationFailure as error:
                return error.code == _ALREADY_INITIATED
            except PyMongoError:
                return False  # it is still on its way up
            return True

        async def initiated() -> bool:
            return await asyncio.to_thread(initiate)

        await until("the replica set is initiated", initiated, _READY_SECONDS)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
