"""Documents say exactly what an instance is; what is no instance hides nothing else."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import bson
import pytest
from bson import ObjectId
from bson.datetime_ms import DatetimeMS
from hypothesis import given
from hypothesis import strategies as st
from pymongo.database import Database

from later_core.model.attempts import shortened
from later_core.model.concurrency import Concurrency
from later_core.model.instance import Attempt, Delivery, Instance, InstanceError
from later_core.model.instant import from_millis
from later_core.model.limits import LABEL_KEY_MAX_LENGTH, MAX_ATTEMPTS
from later_core.model.query import Filter
from later_core.model.retry import RetryPolicy
from later_core.model.state import State
from later_core.stores.mongo.connection import CODEC
from later_core.stores.mongo.documents import (
    UnreadableRecord,
    to_document,
    to_instance,
)
from later_core.stores.mongo.store import MongoStore
from later_core.testing.builders import an_instance
from later_core.testing.store_contract.steps import (
    all_due,
    all_pages,
    insert,
    moment_of,
    position_now,
    put_mark,
    story_since,
)

Raw = Database[dict[str, Any]]

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
names = st.text(st.sampled_from("abcXYZ019._/-"), min_size=1, max_size=LABEL_KEY_MAX_LENGTH)
instants = st.integers(0, 4_000_000_000_000).map(from_millis)
durations = st.timedeltas(timedelta(0), timedelta(days=36_500))
errors = st.builds(InstanceError, reason=text, message=text)
retries = st.builds(
    RetryPolicy,
    max_attempts=st.integers(1, MAX_ATTEMPTS),
    min_backoff=durations,
    max_backoff=durations,
    multiplier=st.floats(1, 100),
    jitter=st.floats(0, 1),
    final_reasons=st.lists(st.text(max_size=5), max_size=3).map(tuple),
)
ended_attempts = st.builds(
    Attempt,
    number=st.integers(1, MAX_ATTEMPTS),
    node=names,
    start_time=st.none() | instants,
    end_time=instants,
    error=st.none() | errors.map(shortened),
)


instances = st.builds(
    Instance,
    id=names,
    task=names,
    execution_time=instants,
    create_time=instants,
    parameters=st.binary(max_size=100),
    state=st.sampled_from(State),
    attempt=st.integers(0, MAX_ATTEMPTS),
    revision=st.integers(1, 2**40),
    retry=retries,
    timeout=st.none() | durations,
    start_deadline=st.none() | durations,
    delivery=st.sampled_from(Delivery),
    labels=st.dictionaries(names, text, max_size=5),
    concurrency=st.none() | st.builds(Concurrency, key=names, limit=st.integers(1, 1000)),
    schedule_id=st.none() | names,
    trace_parent=st.none() | names,
    fingerprint=st.binary(min_size=16, max_size=32),
    node=st.none() | names,
    start_time=st.none() | instants,
    finish_time=st.none() | instants,
    result=st.binary(max_size=100),
    error=st.none() | errors,
    attempts=st.lists(ended_attempts, max_size=10).map(tuple),
    priority=st.integers(0, 100),
)


def stored(document: dict[str, Any]) -> dict[str, Any]:
    """The document as it comes back from the server."""
    return bson.decode(bson.encode(document), codec_options=CODEC)


@given(instances)
def test_an_instance_survives_the_way_through_its_document(instance: Instance) -> None:
    assert to_instance(stored(to_document(instance))) == instance


@given(instances, st.data())
def test_a_document_with_a_field_of_a_wrong_type_is_unreadable_or_read(
    instance: Instance, data: st.DataObject
) -> None:
    document = to_document(instance)
    field = data.draw(st.sampled_from(sorted(document)))
    document[field] = data.draw(
        st.sampled_from([None, 7, -1.5, "text", b"bytes", [], [1], {}, {"a": 1}, True])
        | st.just(DatetimeMS(2**60))
    )
    with suppress(UnreadableRecord):
        to_instance(stored(document))


def test_an_execution_time_is_rounded_up() -> None:
    time = datetime(2030, 1, 1, 0, 0, 0, 1, tzinfo=UTC)
    document = to_document(an_instance(execution_time=time))
    assert document["execution_time"] == datetime(2030, 1, 1, 0, 0, 0, 1000, tzinfo=UTC)


@pytest.fixture
async def now(store: MongoStore, raw: Raw) -> datetime:
    """Three instances due now, and between them records that are none, due now as well."""
    now = await moment_of(store)
    broken = {"state": "PENDING", "task": "echo", "execution_time": now}
    raw["instances"].insert_many(
        [
            {"_id": "a0"} | broken,
            {"_id": "a2"} | broken | {"create_time": 5, "attempt": "many", "revision": 1},
            {"_id": ObjectId()} | broken,
            {"_id": 7} | broken,
            {"_id": "a3"} | broken | {"execution_time": "soon"},
            {"_id": "a4"} | broken | {"execution_time": DatetimeMS(2**60)},
            {"_id": "a5"} | broken | {"execution_time": DatetimeMS(-(2**60))},
            {"_id": "a6"} | broken | {"state": "SLEEPING"},
        ]
    )
    await insert(store, *(an_instance(id, execution_time=now) for id in ("a1", "b", "c")))
    return now


@pytest.mark.parametrize("limit", [1, 2, 100])
async def test_records_that_are_none_hide_no_others_from_a_list(
    store: MongoStore, now: datetime, limit: int
) -> None:
    pages = await all_pages(store, Filter(), limit=limit)
    assert [instance.id for page in pages for instance in page] == ["a1", "b", "c"]
    async with store.snapshot(Filter()) as snapshot:
        shown = [instance.id async for page in snapshot.pages() for instance in page]
    assert shown == ["a1", "b", "c"]
    assert await store.get("a2") is None


@pytest.mark.parametrize("limit", [1, 2, 100])
async def test_records_that_are_none_hide_no_others_from_the_window(
    store: MongoStore, now: datetime, limit: int
) -> None:
    ids = [entry.id for entry in await all_due(store, until=now, limit=limit)]
    assert {"a1", "b", "c"} <= set(ids) <= {"a0", "a1", "a2", "b", "c"}
    claimed = await store.claim(ids, node="node-a", until=now)
    assert sorted(instance.id for instance in claimed) == ["a1", "b", "c"]


async def test_records_that_are_none_hide_no_others_from_the_feed(
    store: MongoStore, raw: Raw
) -> None:
    position = await position_now(store)
    time = await moment_of(store)
    await insert(store, an_instance("a", execution_time=time))
    raw["instances"].insert_one({"_id": "b", "state": "PENDING"})
    await insert(store, an_instance("c", execution_time=time))
    await put_mark(store)
    events = await story_since(store, position)
    assert [event.instance.id for event in events if event.instance] == ["a", "c"]
