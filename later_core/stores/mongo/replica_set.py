"""Make the embedded mongod the writable primary of a replica set of one."""

from __future__ import annotations

from asyncio.subprocess import Process
from typing import Any
from urllib.parse import quote

from motor.motor_asyncio import AsyncIOMotorClient
from pymongo.errors import OperationFailure, PyMongoError

from later_core.ports.clock import Clock
from later_core.stores.mongo.directory import DataDirectory
from later_core.stores.mongo.mongod import REPLICA_SET, failure

_POLL_SECONDS = 0.02
_NOT_YET_INITIALIZED = 94


def uri_of(directory: DataDirectory) -> str:
    """The connection string of the embedded mongod."""
    return f"mongodb://{quote(str(directory.socket), safe='')}/?directConnection=true"


async def await_primary(
    process: Process, directory: DataDirectory, clock: Clock, *, seconds: float
) -> None:
    """Return once it takes writes.

    Raises:
        MongodFailed: it ended, or did not get there within that time.

    """
    deadline = clock.monotonic() + seconds

    async def pause() -> None:
        if process.returncode is not None or clock.monotonic() >= deadline:
            raise failure(process, directory)
        await clock.sleep(_POLL_SECONDS)

    while not directory.socket.exists():
        await pause()
    client: AsyncIOMotorClient[dict[str, Any]] = AsyncIOMotorClient(
        uri_of(directory), serverSelectionTimeoutMS=2_000, socketTimeoutMS=10_000
    )
    try:
        while not await _is_primary(client, str(directory.socket)):
            await pause()
    finally:
        client.close()


async def _is_primary(client: AsyncIOMotorClient[dict[str, Any]], host: str) -> bool:
    """Whether it takes writes; moves it a step further where it does not."""
    try:
        hello = await client.admin.command("hello")
        if hello.get("isWritablePrimary"):
            return True
        if "setName" not in hello:  # it has no set, or one in which it does not find itself
            await _configure(client, host)
    except PyMongoError:
        pass  # it is still on its way up; the caller's deadline decides
    return False


async def _configure(client: AsyncIOMotorClient[dict[str, Any]], host: str) -> None:
    try:
        answer = await client.admin.command("replSetGetConfig")
    except OperationFailure as error:
        if error.code != _NOT_YET_INITIALIZED:
            raise
        config = {"_id": REPLICA_SET, "members": [{"_id": 0, "host": host}]}
        await client.admin.command("replSetInitiate", config)
        return
    config = answer["config"]
    if config["members"][0]["host"] != host:  # the directory has been moved
        config["members"][0]["host"] = host
        config["version"] += 1
        await client.admin.command("replSetReconfig", config, force=True)
