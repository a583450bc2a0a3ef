"""The database goes away and comes back: calls fail in bounded time, and nothing is lost."""

from __future__ import annotations

import signal
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from later_core.errors import HistoryLost, StoreUnavailable
from later_core.model.instance import Instance
from later_core.model.query import Filter
from later_core.model.state import State
from later_core.ports.clock import SystemClock
from later_core.ports.store import Inserted
from later_core.stores.mongo.store import MongoStore
from later_core.testing.builders import an_instance, succeeded
from later_core.testing.store_contract.steps import (
    HOUR,
    NODE,
    existing,
    following,
    insert,
    moment_of,
    outcome_of,
    position_now,
    put_mark,
    run,
    story_since,
    together,
)

MakeStore = Callable[..., MongoStore]
Fail = Callable[..., None]

#: WriteConcernFailed, said after the write was done: nobody can know what will become of it.
IN_DOUBT = {"writeConcernError": {"code": 64, "errmsg": "in doubt"}}


async def test_a_stopped_database_is_unavailable_in_bounded_time_and_works_again(
    own_mongod: Any, make_store: MakeStore, clock: SystemClock
) -> None:
    async with make_store(own_mongod.uri) as store:
        now = await moment_of(store)
        await insert(store, an_instance("before", execution_time=now))
        async with following(store, None) as reader:
            await reader.batch()
            own_mongod.stop()
            start = clock.monotonic()
            outcomes = await together(
                outcome_of(store.now()),
                outcome_of(store.get("before")),
                outcome_of(store.insert([an_instance("during", execution_time=now)])),
                outcome_of(store.list(Filter(), after=None, limit=10)),
                outcome_of(store.abort("before")),
            )
            assert {type(outcome) for outcome in outcomes} == {StoreUnavailable}
            with pytest.raises(StoreUnavailable):
                await reader.until("nothing")
            assert clock.monotonic() - start < 30
            position = reader.read[-1].position
        own_mongod.start()
        await insert(store, an_instance("after", execution_time=now))
        await put_mark(store)
        async with following(store, position) as reader:
            events = await reader.until("mark")
        assert [event.instance.id for event in events if event.instance] == ["after"]
        assert (await existing(store, "before")).state is State.PENDING


async def test_closing_ends_what_is_under_way(make_store: MakeStore) -> None:
    store = make_store()
    await store.open()
    async with following(store, None) as reader:
        await reader.batch()
        await store.close()
        with pytest.raises(StoreUnavailable):
            await reader.until("nothing")


@pytest.fixture
async def faulty(faulty_uri: str, make_store: MakeStore, fail: Fail) -> Any:
    async with make_store(faulty_uri) as store:
        yield store


@pytest.mark.parametrize(
    "how",
    [IN_DOUBT, {"closeConnection": True}, {"errorCode": 11602}],
    ids=["written, not acknowledged", "connection lost", "refused by a primary that steps down"],
)
async def test_a_claim_in_doubt_finds_out_what_it_claimed(
    faulty: MongoStore, fail: Fail, how: dict[str, Any]
) -> None:
    now = await moment_of(faulty)
    await insert(faulty, *(an_instance(f"{n}", execution_time=now) for n in range(10)))
    fail("update", times=2, **how)
    claimed = await faulty.claim([f"{n}" for n in range(10)], node=NODE, until=now + HOUR)
    assert sorted(instance.id for instance in claimed) == [f"{n}" for n in range(10)]
    assert {(instance.attempt, instance.revision) for instance in claimed} == {(1, 2)}


async def test_a_claim_whose_answer_cannot_be_read_reads_it_again(
    faulty: MongoStore, fail: Fail
) -> None:
    now = await moment_of(faulty)
    await insert(faulty, an_instance("one", execution_time=now))
    fail("find", times=1, errorCode=11600)
    [claimed] = await faulty.claim(["one"], node=NODE, until=now)
    assert (claimed.attempt, claimed.revision) == (1, 2)


async def test_an_ending_in_doubt_can_be_repeated(faulty: MongoStore, fail: Fail) -> None:
    [running] = await run(faulty, "one")
    ending = succeeded(running, at=await moment_of(faulty))
    fail("update", **IN_DOUBT)
    with pytest.raises(StoreUnavailable):
        await faulty.finish([ending])
    assert await faulty.finish([ending]) == [True]
    after = await existing(faulty, "one")
    assert (after.state, after.revision) == (State.SUCCEEDED, 3)


async def test_an_insert_in_doubt_can_be_repeated(faulty: MongoStore, fail: Fail) -> None:
    now = await moment_of(faulty)
    instances = [an_instance(f"{n}", execution_time=now) for n in range(3)]
    fail("insert", **IN_DOUBT)
    with pytest.raises(StoreUnavailable):
        await faulty.insert(instances)
    assert await faulty.insert(instances) == [Inserted(i, is_new=False) for i in instances]
    assert (await faulty.counts([])).by_state[State.PENDING] == 3


@pytest.mark.parametrize("command", ["aggregate", "getMore"])
@pytest.mark.parametrize(
    "code", [286, 280, 136], ids=["ChangeStreamHistoryLost", "Fatal", "Capped"]
)
async def test_history_that_the_server_let_go_of_is_told_as_lost(
    faulty: MongoStore, fail: Fail, command: str, code: int
) -> None:
    position = await position_now(faulty)
    fail(command, errorCode=code)
    with pytest.raises(HistoryLost):
        await story_since(faulty, position)


@pytest.mark.parametrize("code", [239, 246], ids=["SnapshotTooOld", "SnapshotUnavailable"])
async def test_a_moment_that_the_server_let_go_of_is_told_as_lost(
    faulty: MongoStore, fail: Fail, code: int
) -> None:
    now = await moment_of(faulty)
    await insert(faulty, *(an_instance(f"{n:04d}", execution_time=now) for n in range(1001)))
    async with faulty.snapshot(Filter()) as snapshot:
        fail("find", errorCode=code)
        with pytest.raises(HistoryLost):
            [page async for page in snapshot.pages()]


async def test_a_server_that_has_no_moment_to_read_at_yet_is_asked_again(
    faulty: MongoStore, fail: Fail
) -> None:
    fail("find", times=3, errorCode=246)
    async with faulty.snapshot(Filter()) as snapshot:
        assert [page async for page in snapshot.pages()] == []


@pytest.mark.parametrize("move", ["abort", "reschedule", "retry"])
async def test_a_change_in_doubt_is_repeated_by_the_driver_and_done_once(
    faulty: MongoStore, fail: Fail, move: str
) -> None:
    now = await moment_of(faulty)
    await insert(faulty, an_instance("one", execution_time=now))
    expected = 2
    if move == "retry":
        await faulty.abort("one")
        expected = 3
    fail("findAndModify", closeConnection=True)
    after: Instance
    if move == "abort":
        after = (await faulty.abort("one")).after
    elif move == "reschedule":
        after = await faulty.reschedule("one", now + timedelta(hours=1), revision=1)
    else:
        after = await faulty.retry("one", now)
    assert after.revision == expected
    assert await faulty.get("one") == after


async def test_a_database_that_hangs_is_unavailable_in_bounded_time(
    own_mongod: Any, make_store: MakeStore, clock: SystemClock
) -> None:
    async with make_store(own_mongod.uri) as store:
        now = await moment_of(store)
        await insert(store, an_instance("one", execution_time=now))
        process = own_mongod._process
        process.send_signal(signal.SIGSTOP)
        try:
            began = clock.monotonic()
            with pytest.raises(StoreUnavailable):
                await store.abort("one")
            assert clock.monotonic() - began < 15
        finally:
            process.send_signal(signal.SIGCONT)
        assert await store.get("one") is not None
