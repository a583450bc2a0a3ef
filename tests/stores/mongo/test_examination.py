"""Each thing that can be wrong with a database is found, named, and told how to mend."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pymongo.database import Database

from later_core.model.finding import Finding, Verdict
from later_core.ports.clock import SystemClock
from later_core.stores.mongo.directory import DataDirectory
from later_core.stores.mongo.examination import examine
from later_core.stores.mongo.indexes import NEEDED
from later_core.stores.mongo.replica_set import uri_of
from later_core.stores.mongo.store import MongoStore

Raw = Database[dict[str, Any]]
StartMongod = Callable[..., str]


class OffClock(SystemClock):
    """A wall clock that is five seconds ahead."""

    def now(self):
        return super().now() + timedelta(seconds=5)


async def by_check(uri: str, database: str, clock: SystemClock | None = None) -> dict[str, Finding]:
    findings = await examine(uri, database, clock or SystemClock())
    assert all(finding.remedy for finding in findings if finding.verdict is not Verdict.OK)
    found = {finding.check: finding for finding in findings}
    assert len(found) == len(findings)
    return found


async def test_a_database_that_a_server_has_prepared_is_in_order(
    store: MongoStore, mongodb_uri: str, database: str
):
    found = await by_check(mongodb_uri, database)
    # The set of the tests has one member, and that is said; how full this disk is, is its own affair.
    assert found.pop("members").verdict is Verdict.WARN
    found.pop("disk")
    assert {check: f.verdict for check, f in found.items()} == dict.fromkeys(found, Verdict.OK)
    assert found.keys() == {
        *("database", "schema", "indexes", "history of changes", "oplog", "clock of the database")
    }


async def test_the_indexes_that_are_looked_for_are_those_that_are_made(store: MongoStore, raw: Raw):
    for collection, indexes in NEEDED.items():
        made = raw[collection].index_information()
        assert {name: made[name]["key"] for name in indexes} == indexes
        assert set(made) == {"_id_", *indexes}


@pytest.mark.parametrize(
    ("collection", "index"), [(c, name) for c, names in NEEDED.items() for name in names]
)
async def test_a_missing_index_is_named(
    store: MongoStore, raw: Raw, mongodb_uri: str, collection: str, index: str
):
    raw[collection].drop_index(index)
    finding = (await by_check(mongodb_uri, raw.name))["indexes"]
    assert finding.verdict is Verdict.FAIL
    assert f"{collection}.{index}" in finding.found


async def test_an_index_of_other_keys_is_named(store: MongoStore, raw: Raw, mongodb_uri: str):
    raw.schedules.drop_index("look")
    raw.schedules.create_index([("look_time", 1)], name="look")
    assert "schedules.look" in (await by_check(mongodb_uri, raw.name))["indexes"].found


async def test_a_history_without_the_records_after_it_is_noticed(
    store: MongoStore, raw: Raw, mongodb_uri: str
):
    raw.command({"collMod": "instances", "changeStreamPreAndPostImages": {"enabled": False}})
    finding = (await by_check(mongodb_uri, raw.name))["history of changes"]
    assert finding.verdict is Verdict.FAIL


async def test_a_schema_of_another_version_is_noticed(
    store: MongoStore, raw: Raw, mongodb_uri: str
):
    raw.meta.update_one({"_id": "schema"}, {"$set": {"version": 99}})
    finding = (await by_check(mongodb_uri, raw.name))["schema"]
    assert finding.verdict is Verdict.FAIL
    assert "99" in finding.found


async def test_a_database_that_no_server_has_used_is_noticed_and_left_as_it_is(
    raw: Raw, mongodb_uri: str
):
    found = await by_check(mongodb_uri, raw.name)
    assert found["schema"].verdict is Verdict.FAIL
    assert raw.name in found["schema"].found
    assert raw.list_collection_names() == []


async def test_a_wall_clock_that_is_off_is_noticed(
    store: MongoStore, mongodb_uri: str, database: str
):
    finding = (await by_check(mongodb_uri, database, OffClock()))["clock of the database"]
    assert finding.verdict is Verdict.WARN
    assert "ahead" in finding.found


async def test_what_the_user_of_the_uri_may_not_see_is_said_and_hides_nothing_else(
    faulty_uri: str, fail: Callable[..., None]
):
    not_allowed = 13
    fail("replSetGetStatus", "collStats", errorCode=not_allowed, times=2)
    found = await by_check(faulty_uri, "later")
    for check in ("members", "oplog"):
        assert found[check].verdict is Verdict.WARN
        assert "clusterMonitor" in found[check].remedy
    assert found["schema"].verdict is Verdict.FAIL
    assert "disk" in found


async def test_a_standalone_server_is_told_how_to_become_a_replica_set(start_mongod: StartMongod):
    (finding,) = await examine(start_mongod(), "later", SystemClock())
    assert finding.verdict is Verdict.FAIL
    assert "standalone" in finding.found
    assert "rs.initiate()" in finding.remedy


async def test_a_database_that_is_not_there_is_a_finding():
    (finding,) = await examine("mongodb://127.0.0.1:9/", "later", SystemClock())
    assert finding.verdict is Verdict.FAIL
    assert "LATER_MONGODB_URI" in finding.remedy


async def test_a_uri_that_is_none_is_a_finding_without_its_password():
    (finding,) = await examine("mongodb://me:secret@/", "later", SystemClock())
    assert finding.verdict is Verdict.FAIL
    assert "secret" not in finding.found


@pytest.mark.parametrize(
    ("uri", "is_local"),
    [
        (uri_of(DataDirectory(Path("/var/lib/later"))), True),
        ("mongodb://127.0.0.1:27017/", False),
    ],
)
def test_a_database_behind_a_socket_is_local(uri: str, is_local: bool):
    store = MongoStore(uri=uri, database="later", retention=timedelta(days=1), clock=SystemClock())
    assert store.is_local is is_local
