"""The bare pipes store what Later stores: else they would be no measure of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import bson
import pymongo
import pytest

from benchmarks.bare.burst_pipe import Ends, burst, prepare_burst
from benchmarks.bare.documents import instant, maker
from benchmarks.harness.requests import PARAMETERS
from benchmarks.harness.tasks import NOOP
from later_core.model.instance import NewInstance
from later_core.model.outcome import Ending
from later_core.model.state import State
from later_core.ports.clock import SystemClock
from later_core.service.placement import place
from later_core.stores.mongo.connection import Connection, connect
from later_core.stores.mongo.store import MongoStore
from later_core.testing.store_contract.steps import moment_of


def shape(document: dict[str, Any]) -> dict[str, str]:
    return {name: type(value).__name__ for name, value in document.items()}


@pytest.fixture
async def run_by_later(mongodb_uri: str, database: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """A document as Later creates it, and as it is when it has run."""
    store = MongoStore(
        uri=mongodb_uri, database=database, retention=timedelta(days=1), clock=SystemClock()
    )
    async with store:
        now = await moment_of(store)
        request = NewInstance(task=NOOP, parameters=PARAMETERS, execution_time=now)
        instance = place(request, now=now)
        await store.insert([instance])
        with pymongo.MongoClient(mongodb_uri) as client:
            created = client[database]["instances"].find_one({"_id": instance.id})
            [claimed] = await store.claim([instance.id], node="bare", until=now)
            ending = Ending(
                id=claimed.id,
                node="bare",
                attempt=claimed.attempt,
                state=State.SUCCEEDED,
                start_time=now,
                end_time=now,
            )
            assert await store.finish([ending]) == [True]
            ended = client[database]["instances"].find_one({"_id": instance.id})
    assert created is not None
    assert ended is not None
    return created, ended


async def test_a_bare_document_is_one_of_laters(
    run_by_later: tuple[dict[str, Any], dict[str, Any]],
) -> None:
    created, _ = run_by_later
    bare = bson.decode(bson.encode(maker()(datetime(2030, 1, 1, tzinfo=UTC))))
    assert shape(bare) == shape(created)
    assert len(bson.encode(bare)) == len(bson.encode(created))


@pytest.mark.parametrize("ends", ["each", "same"])
async def test_a_bare_burst_runs_each_once_and_leaves_what_later_leaves(
    ends: Ends, mongodb_uri: str, run_by_later: tuple[dict[str, Any], dict[str, Any]]
) -> None:
    _, ended = run_by_later
    connection: Connection = connect(mongodb_uri, f"test_bare_{ends}")
    try:
        ids = await prepare_burst(connection, 2_500)
        outcome = await burst(connection, ids, ends=ends)
        assert sorted(outcome.begun) == ids
        assert outcome.finished == 2_500
        document = await connection.instances.find_one({"_id": ids[0]})
        assert document is not None
        assert shape(document) == shape(ended)
    finally:
        await connection.client.drop_database(connection.database)
        connection.client.close()


def test_a_timestamp_becomes_an_instant_in_whole_milliseconds():
    assert instant(1, 2_999_999) == datetime(1970, 1, 1, 0, 0, 1, 2_000, tzinfo=UTC)
