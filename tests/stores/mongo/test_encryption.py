"""What is encrypted at rest: nothing of it stands in clear, and nothing is lost with a key that is away."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from bson import encode
from pymongo.database import Database
from structlog.testing import capture_logs

from later_core.errors import EncryptionKeyMissing
from later_core.local.database_clock import DatabaseClock
from later_core.local.intake import Intake
from later_core.local.membership import Membership
from later_core.local.window import Window
from later_core.model.encryption_key import EncryptionKey, new_key, parse_keys
from later_core.model.query import Filter
from later_core.model.schedule import ScheduleFilter
from later_core.ports.clock import SystemClock
from later_core.ports.store import IdTaken
from later_core.service.transfer import Transfer
from later_core.stores.mongo.key_ring import SEALED, key_of
from later_core.stores.mongo.store import MongoStore
from later_core.testing.builders import a_schedule, an_instance, succeeded
from later_core.testing.store_contract.creating import CreatingContract
from later_core.testing.store_contract.ending import EndingContract
from later_core.testing.store_contract.schedules import SchedulesContract
from later_core.testing.store_contract.starting import StartingContract
from later_core.testing.store_contract.steps import (
    HOUR,
    Advance,
    insert,
    moment_of,
    position_now,
    put_mark,
    story_since,
)
from later_core.testing.store_contract.transferring import TransferringContract

Raw = Database[dict[str, Any]]

SECRET = b"the-marked-secret-of-a-client"
RESULT = b"the-marked-secret-of-a-result"


def a_key(id: str) -> EncryptionKey:
    return parse_keys(new_key(id))[0]


OLD, NEW = a_key("old"), a_key("new")


@pytest.fixture
def make(mongodb_uri: str, database: str, clock: SystemClock) -> Any:
    def make(*keys: EncryptionKey) -> MongoStore:
        return MongoStore(
            uri=mongodb_uri, database=database, retention=timedelta(days=7), clock=clock, keys=keys
        )

    return make


class TestEncryptedStore(
    CreatingContract, EndingContract, StartingContract, SchedulesContract, TransferringContract
):
    """Encrypted, MongoDB keeps the promises of whatever writes or reads what is encrypted."""

    pytestmark = pytest.mark.asyncio

    @pytest.fixture
    def advance(self, clock: SystemClock) -> Advance:
        return clock.sleep

    @pytest.fixture
    async def store(self, make: Any) -> AsyncIterator[MongoStore]:
        async with make(NEW, OLD) as store:
            yield store


async def run(store: MongoStore, id: str, **fields: Any) -> None:
    """A whole life, its result marked."""
    now = await moment_of(store)
    await insert(store, an_instance(id, execution_time=now, parameters=SECRET, **fields))
    [running] = await store.claim([id], node="node-a", until=now + HOUR)
    assert running.parameters == SECRET
    assert await store.finish([succeeded(running, at=now, result=RESULT)]) == [True]


async def test_nothing_of_parameters_and_results_stands_in_clear(
    make: Any, raw: Raw, mongodb_uri: str
) -> None:
    with raw.instances.watch() as changes:
        async with make(NEW) as store:
            schedule = a_schedule("nightly", now=await moment_of(store))
            template = replace(schedule.spec.template, parameters=SECRET)
            schedule = replace(schedule, spec=replace(schedule.spec, template=template))
            stored = await store.insert_schedule(schedule)
            assert stored.spec.template.parameters == SECRET
            await run(store, "one", fingerprint=b"f" * 32)
        written = [encode(raw.instances.find_one()), encode(raw.schedules.find_one())]
        while (change := changes.try_next()) is not None:
            written.append(encode(change))
        written += [
            encode(entry)
            for entry in raw.client.local["oplog.rs"].find({"ns": {"$regex": f"^{raw.name}[.]"}})
        ]
    assert len(written) >= 8
    for data in written:
        for secret in (SECRET, RESULT, b"f" * 32):
            assert secret not in data
    document = raw.instances.find_one()
    assert document is not None
    assert {key_of(document[name]) for name in ("parameters", "result", "fingerprint")} == {
        NEW.name
    }


async def test_a_ciphertext_cannot_be_moved_to_another_record_or_field(make: Any, raw: Raw) -> None:
    async with make(NEW) as store:
        now = await moment_of(store)
        for id in ("one", "two"):
            await insert(store, an_instance(id, execution_time=now + HOUR, parameters=id.encode()))
        stolen = raw.instances.find_one({"_id": "one"})
        assert stolen is not None
        raw.instances.update_one({"_id": "two"}, {"$set": {"parameters": stolen["parameters"]}})
        raw.instances.update_one({"_id": "one"}, {"$set": {"result": stolen["parameters"]}})
        with capture_logs() as logs:
            assert await store.get("two") is None
            assert await store.get("one") is None
    assert [line["event"] for line in logs] == ["unreadable record"] * 2
    assert all("comes from another record" in line["detail"] for line in logs)


async def test_without_its_key_an_instance_stays_pending_and_is_told_of_once(
    make: Any, raw: Raw
) -> None:
    async with make(OLD) as store:
        now = await moment_of(store)
        await insert(store, an_instance("locked", execution_time=now, parameters=SECRET))
    async with make(NEW) as store:
        await insert(store, an_instance("open", execution_time=now, parameters=SECRET))
        with capture_logs() as logs:
            for _ in range(2):
                claimed = await store.claim(
                    ["locked", "open"], node="node-a", until=now + HOUR, is_admitted=False
                )
            page = await store.list(Filter(), after=None, limit=10)
        assert claimed == []
        assert [instance.id for instance in page.instances] == ["open"]
        with pytest.raises(EncryptionKeyMissing) as missing:
            await store.get("locked")
        assert missing.value.metadata == {"id": "locked", "key": OLD.name}
        [again] = await store.insert([an_instance("locked", execution_time=now)])
        assert again == IdTaken("locked")
    assert [(line["event"], line["id"]) for line in logs] == [("encryption key missing", "locked")]
    assert (raw.instances.find_one({"_id": "locked"}) or {})["state"] == "PENDING"
    async with make(NEW, OLD) as store:
        [claimed] = await store.claim(
            ["locked"], node="node-b", until=now + HOUR, is_admitted=False
        )
        assert claimed.parameters == SECRET


async def test_a_store_without_keys_leaves_what_is_encrypted_alone(make: Any) -> None:
    async with make(NEW) as store:
        now = await moment_of(store)
        await insert(store, an_instance("locked", execution_time=now, parameters=SECRET))
    async with make() as store:
        assert await store.claim(["locked"], node="node-a", until=now + HOUR) == []
        with pytest.raises(EncryptionKeyMissing):
            await store.get("locked")


async def test_an_export_that_lacks_a_key_breaks_off(make: Any, clock: SystemClock) -> None:
    membership = Membership(tasks=("echo",))
    intake = Intake(window=Window(), membership=membership, database_clock=DatabaseClock(clock))
    async with make(NEW) as store:
        await insert(store, an_instance("locked", execution_time=await moment_of(store) + HOUR))
    async with make() as store, Transfer(store=store, intake=intake) as transfer:
        with pytest.raises(EncryptionKeyMissing):
            async for _ in transfer.export(Filter(), place=None, only_instances=True):
                pass
        with capture_logs(), pytest.raises(EncryptionKeyMissing):
            async for _ in transfer.export(Filter(), place=None, only_instances=False):
                pass


async def test_an_abort_without_the_key_is_carried_out_all_the_same(make: Any, raw: Raw) -> None:
    async with make(NEW) as store:
        await insert(store, an_instance("locked", execution_time=await moment_of(store) + HOUR))
    async with make() as store:
        with pytest.raises(EncryptionKeyMissing):
            await store.abort("locked")
    assert (raw.instances.find_one() or {})["state"] == "ABORTED"


async def test_what_was_stored_in_clear_is_read_with_keys_too(make: Any, raw: Raw) -> None:
    async with make() as store:
        now = await moment_of(store)
        await insert(store, an_instance("clear", execution_time=now, parameters=SECRET))
    assert type((raw.instances.find_one() or {})["parameters"]) is bytes
    async with make(NEW) as store:
        [claimed] = await store.claim(["clear"], node="node-a", until=now + HOUR)
        assert claimed.parameters == SECRET


async def test_rekeying_leaves_only_the_newest_key_and_tells_nobody(make: Any, raw: Raw) -> None:
    async with make() as store:
        now = await moment_of(store)
        await insert(store, an_instance("clear", execution_time=now + HOUR, parameters=SECRET))
    async with make(OLD) as store:
        await run(store, "ended")
        for number in range(450):
            await insert(store, an_instance(f"id-{number}", execution_time=now + HOUR))
        schedule = a_schedule("nightly", now=now)
        template = replace(schedule.spec.template, parameters=SECRET)
        await store.insert_schedule(
            replace(schedule, spec=replace(schedule.spec, template=template))
        )
        before = await store.list(Filter(), after=None, limit=1000)
        schedules = await store.list_schedules(ScheduleFilter(), after=None, limit=10)
    async with make(NEW, OLD) as store:
        position = await position_now(store)
        told: list[tuple[int, int]] = []
        done = await store.rekey(lambda examined, total: told.append((examined, total)))
        assert (done.written, done.left) == (453, 0)
        assert told[-1] == (453, 453)
        assert len(told) > 2
        assert told == sorted(told)
        assert (await store.rekey()).written == 0
        await put_mark(store)
        events = await story_since(store, position)
    assert events == []
    async with make(NEW) as store:
        after = await store.list(Filter(), after=None, limit=1000)
        assert [one for one in after.instances if one.id in {b.id for b in before.instances}] == (
            list(before.instances)
        )
        assert await store.list_schedules(ScheduleFilter(), after=None, limit=10) == schedules
    for document in raw.instances.find():
        assert document["sealed"] == NEW.name
        assert document["fingerprint"].subtype == SEALED


async def test_rekeying_counts_what_no_key_opens(make: Any) -> None:
    async with make(OLD) as store:
        await insert(store, an_instance("lost", execution_time=await moment_of(store) + HOUR))
    async with make(NEW) as store:
        done = await store.rekey()
    assert (done.written, done.left) == (0, 1)
