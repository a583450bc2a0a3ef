"""Moments that MongoDB no longer remembers, and how the document of a restored instance looks."""

from __future__ import annotations

from typing import Any

import pytest
from pymongo.database import Database

from later_core.errors import HistoryLost
from later_core.model.query import Filter
from later_core.stores.mongo.store import MongoStore
from later_core.testing.builders import an_instance
from later_core.testing.store_contract.steps import HOUR, moment_of


async def test_a_moment_of_long_ago_is_lost(store: MongoStore) -> None:
    async with store.snapshot(Filter()) as snapshot:
        moment = snapshot.moment
    with pytest.raises(HistoryLost):
        async with store.snapshot(Filter(), moment="00000001" + moment[8:]):
            pass


async def test_what_is_restored_stands_there_as_what_was_created(
    store: MongoStore, raw: Database[dict[str, Any]]
) -> None:
    now = await moment_of(store)
    await store.insert([an_instance("a", execution_time=now + HOUR)])
    wanted = an_instance("b", execution_time=now + HOUR)
    await store.restore([wanted], replace=False, validate_only=False)
    created, restored = raw["instances"].find().sort("_id")
    assert created.keys() == restored.keys()
    assert restored["bucket"] in range(256)


async def test_a_record_that_cannot_be_read_is_kept(
    store: MongoStore, raw: Database[dict[str, Any]]
) -> None:
    raw["instances"].insert_one({"_id": "broken", "state": "PENDING"})
    wanted = an_instance("broken", execution_time=await moment_of(store))
    assert await store.restore([wanted], replace=True, validate_only=False) == ["TAKEN"]
    assert raw["instances"].find_one({"_id": "broken"}) == {"_id": "broken", "state": "PENDING"}
