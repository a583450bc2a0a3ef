"""A server that could not keep the promises is refused, and the remedy is named."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pymongo
import pytest
from pymongo.database import Database

from later_core.errors import (
    DatabaseTooOld,
    Misconfigured,
    SchemaTooNew,
    SettingInvalid,
    StandaloneServer,
    StoreUnavailable,
)
from later_core.ports.clock import SystemClock
from later_core.stores.mongo.connection import connect
from later_core.stores.mongo.store import MongoStore

MakeStore = Callable[..., MongoStore]
StartMongod = Callable[..., str]


async def test_a_newer_schema_is_refused_and_left_alone(
    make_store: MakeStore, raw: Database[dict[str, Any]]
) -> None:
    raw["meta"].insert_one({"_id": "schema", "version": 2})
    with pytest.raises(SchemaTooNew) as caught:
        await make_store().open()
    assert (caught.value.found, caught.value.known) == (2, 1)
    assert raw.list_collection_names() == ["meta"]


async def test_a_standalone_server_is_refused_with_the_remedy(
    make_store: MakeStore, start_mongod: StartMongod
) -> None:
    with pytest.raises(StandaloneServer, match=r"rs\.initiate"):
        await make_store(start_mongod()).open()


async def test_a_replica_set_that_nobody_initiated_is_refused_with_the_remedy(
    make_store: MakeStore, start_mongod: StartMongod
) -> None:
    with pytest.raises(Misconfigured, match=r"not initiated.*rs\.initiate"):
        await make_store(start_mongod("--replSet=rs0")).open()


@pytest.mark.parametrize("arguments", [(), ("--replSet=rs0",)], ids=["standalone", "another"])
async def test_a_set_that_no_server_of_the_uri_is_in_is_refused_with_the_remedy(
    make_store: MakeStore, start_mongod: StartMongod, arguments: tuple[str, ...]
) -> None:
    """The driver forgets such servers: without this check it would wait for one for ever."""
    uri = start_mongod(*arguments)
    if arguments:
        with pymongo.MongoClient[dict[str, Any]](uri) as client:
            client.admin.command("replSetInitiate")
    named = uri.replace("directConnection=true", "replicaSet=rs7")
    with pytest.raises(Misconfigured, match=r"'rs7'.*replicaSet.*rs\.initiate"):
        await make_store(named).open()


async def test_a_member_that_is_still_starting_is_waited_for(
    make_store: MakeStore, start_mongod: StartMongod
) -> None:
    """Until it has found its configuration it says what one that was never initiated says."""
    uri = start_mongod("--replSet=rs0")
    store, clock = make_store(uri), SystemClock()

    async def open_patiently() -> None:
        while True:
            try:
                return await store.open()
            except StoreUnavailable:
                await clock.sleep(0.1)  # its election is under way

    with pymongo.MongoClient[dict[str, Any]](uri) as client:
        assert client.admin.command("hello")["isreplicaset"]
        async with asyncio.timeout(60), asyncio.TaskGroup() as group:
            opened = group.create_task(open_patiently())
            await clock.sleep(1.0)
            assert not opened.done(), opened
            await asyncio.to_thread(client.admin.command, "replSetInitiate")
    await store.close()


async def test_a_server_that_behaves_as_an_older_one_is_refused(
    make_store: MakeStore, faulty_uri: str
) -> None:
    with pymongo.MongoClient[dict[str, Any]](faulty_uri) as client:
        client.admin.command({"setFeatureCompatibilityVersion": "5.0"})
        try:
            with pytest.raises(DatabaseTooOld, match=r"5\.0.*6\.0"):
                await make_store(faulty_uri).open()
        finally:
            client.admin.command({"setFeatureCompatibilityVersion": "6.0"})


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "http://localhost",
        "mongodb://u:secret@",
        "mongodb://u:secret@h:port/",
    ],
)
async def test_what_is_no_uri_is_said_without_its_password(make_store: MakeStore, uri: str) -> None:
    with pytest.raises(SettingInvalid, match="mongodb_uri") as caught:
        await make_store(uri).open()
    assert "secret" not in str(caught.value)


async def test_what_no_database_can_be_called_is_said(make_store: MakeStore) -> None:
    with pytest.raises(SettingInvalid, match="database"):
        await make_store(name="a.b").open()


async def test_nobody_there_is_said_in_bounded_time(
    make_store: MakeStore, clock: SystemClock
) -> None:
    before = clock.monotonic()
    with pytest.raises(StoreUnavailable):
        await make_store("mongodb://127.0.0.1:1/?directConnection=true").open()
    assert clock.monotonic() - before < 10


async def test_a_store_that_is_not_open_is_unavailable(make_store: MakeStore) -> None:
    with pytest.raises(StoreUnavailable):
        await make_store().now()


async def test_no_uri_can_weaken_the_promises() -> None:
    connection = connect(
        "mongodb://h/?w=1&journal=false&readConcernLevel=local&readPreference=secondary"
        "&retryWrites=false&timeoutMS=1&socketTimeoutMS=0&tz_aware=true",
        "later",
    )
    try:
        for collection in (connection.instances, connection.nodes, connection.meta):
            assert collection.write_concern.document == {
                "w": "majority",
                "j": True,
                "wtimeout": 0,
            }
            assert collection.read_concern.level == "majority"
            assert collection.read_preference == pymongo.ReadPreference.PRIMARY
            assert collection.codec_options.tz_aware is False
        options = connection.client.options
        assert options.retry_writes
        assert options.timeout is None
        assert options.pool_options.socket_timeout == 10
    finally:
        connection.client.close()
