"""Checks of ``restore``, and of snapshots that are read at again: what export and import rest on."""

from __future__ import annotations

from dataclasses import replace

import pytest

from later_core.errors import ResumeTokenInvalid
from later_core.model.concurrency import Concurrency
from later_core.model.event import EventType
from later_core.model.instance import Delivery, Instance, InstanceError
from later_core.model.query import Filter, PageKey
from later_core.model.retry import RetryPolicy
from later_core.model.schedule import Schedule
from later_core.model.state import State
from later_core.model.transfer import Restored
from later_core.ports.store import Snapshot, Store
from later_core.testing.builders import a_schedule, an_instance
from later_core.testing.store_contract.steps import (
    HOUR,
    MILLISECOND,
    SECOND,
    claim,
    existing,
    insert,
    moment_of,
    position_now,
    put_mark,
    run,
    story_since,
    together,
)

EVERYTHING = Filter()


async def _restore(
    store: Store, *instances: Instance, replace: bool = False, validate_only: bool = False
) -> list[Restored]:
    return list(await store.restore(instances, replace=replace, validate_only=validate_only))


async def _read(snapshot: Snapshot) -> list[Instance]:
    return [instance async for page in snapshot.pages() for instance in page]


async def _read_schedules(snapshot: Snapshot, after: str | None = None) -> list[Schedule]:
    return [schedule async for page in snapshot.schedules(after=after) for schedule in page]


async def _a_past(store: Store) -> list[Instance]:
    """One of each state but RUNNING, with all that an instance can have."""
    now = await moment_of(store)
    whole = an_instance(
        "succeeded",
        execution_time=now,
        create_time=now - HOUR,
        parameters=b"\x00p",
        state=State.SUCCEEDED,
        attempt=7,
        uncounted_attempts=2,
        revision=21,
        retry=RetryPolicy(max_attempts=9, min_backoff=SECOND, max_backoff=HOUR, multiplier=1.5),
        timeout=3 * SECOND,
        start_deadline=HOUR,
        delivery=Delivery.AT_MOST_ONCE,
        labels={"team": "a", "empty": ""},
        concurrency=Concurrency(key="the database", limit=3),
        schedule_id="nightly",
        node="node-gone",
        start_time=now - 2 * SECOND,
        finish_time=now - SECOND,
        result=b"\xffr",
    )
    error = InstanceError(reason="BROKEN", message="it broke")
    failed = replace(whole, id="failed", state=State.FAILED, result=b"", error=error)
    waiting = replace(
        failed, id="waiting", state=State.PENDING, finish_time=None, execution_time=now + HOUR
    )
    fresh = an_instance("fresh", execution_time=now + HOUR)
    aborted = replace(fresh, id="aborted", state=State.ABORTED, finish_time=now, revision=2)
    return [whole, failed, waiting, fresh, aborted]


class TransferringContract:
    """What was exported can be restored, once, and nothing that is there is lost by it."""

    async def test_what_is_restored_is_as_it_was_and_a_repeat_changes_nothing(
        self, store: Store
    ) -> None:
        past = await _a_past(store)
        for expected in (Restored.IMPORTED, Restored.EXISTING):
            assert await _restore(store, *past) == [expected] * len(past)
            assert [await existing(store, instance.id) for instance in past] == past

    async def test_what_is_restored_is_told_and_can_be_started(self, store: Store) -> None:
        position = await position_now(store)
        now = await moment_of(store)
        due = an_instance("due", execution_time=now, attempt=3, revision=9)
        assert await _restore(store, due) == [Restored.IMPORTED]
        await put_mark(store)
        [told] = await story_since(store, position)
        assert (told.type, told.instance) == (EventType.CREATED, due)
        [running] = await claim(store, "due")
        assert (running.attempt, running.revision) == (4, 10)

    async def test_what_has_lived_on_is_left_alone(self, store: Store) -> None:
        [running] = await run(store, "one")
        before = replace(running, state=State.PENDING, attempt=0, revision=1, node=None)
        for may_replace in (False, True):
            assert await _restore(store, before, replace=may_replace) == [Restored.EXISTING]
        assert await existing(store, "one") == running

    async def test_another_of_the_same_id_is_kept_unless_told_otherwise(self, store: Store) -> None:
        now = await moment_of(store)
        stored = an_instance("one", execution_time=now + HOUR, attempt=5, revision=12)
        assert await _restore(store, stored) == [Restored.IMPORTED]
        wanted = replace(stored, parameters=b"other", attempt=2, revision=3)
        assert await _restore(store, wanted) == [Restored.TAKEN]
        assert await existing(store, "one") == stored

        position = await position_now(store)
        assert await _restore(store, wanted, replace=True) == [Restored.REPLACED]
        found = await existing(store, "one")
        assert found == replace(wanted, revision=13, attempt=5, uncounted_attempts=3)
        assert await _restore(store, wanted, replace=True) == [Restored.EXISTING]
        assert await existing(store, "one") == found
        await put_mark(store)
        [told] = await story_since(store, position)
        assert (told.type, told.instance) == (EventType.UPDATED, found)

    async def test_the_same_at_an_earlier_revision_or_in_another_life_is_not_it(
        self, store: Store
    ) -> None:
        now = await moment_of(store)
        stored = an_instance("one", execution_time=now + HOUR, revision=4)
        await _restore(store, stored)
        for wanted in (
            replace(stored, revision=5),
            replace(stored, execution_time=now + 2 * HOUR),
            replace(stored, create_time=now - HOUR, revision=1),
        ):
            assert await _restore(store, wanted) == [Restored.TAKEN]
        assert await existing(store, "one") == stored

    async def test_what_runs_is_never_replaced(self, store: Store) -> None:
        [running] = await run(store, "one")
        wanted = replace(running, parameters=b"other", state=State.PENDING, node=None)
        assert await _restore(store, wanted, replace=True) == [Restored.TAKEN]
        assert await existing(store, "one") == running

    async def test_each_of_a_batch_is_judged_alone(self, store: Store) -> None:
        now = await moment_of(store)
        there, other, new = (an_instance(id, execution_time=now + HOUR) for id in "abc")
        await insert(store, there, other)
        wanted = replace(other, task="else")
        expected = [Restored.IMPORTED, Restored.TAKEN, Restored.EXISTING]
        # A look changes nothing.
        assert await _restore(store, new, wanted, there, validate_only=True) == expected
        assert await store.get("c") is None
        assert await _restore(store, new, wanted, there) == expected
        assert await existing(store, "b") == other

    async def test_of_several_that_restore_at_once_one_imports(self, store: Store) -> None:
        past = await _a_past(store)
        answers = await together(*(_restore(store, *past) for _ in range(4)))
        for of_one in zip(*answers, strict=True):
            assert sorted(of_one) == [*[Restored.EXISTING] * 3, Restored.IMPORTED]

    async def test_a_moment_can_be_read_at_again(self, store: Store) -> None:
        now = await moment_of(store)
        instances = [an_instance(f"{n}", execution_time=now + n * MILLISECOND) for n in range(6)]
        schedules = [a_schedule(f"s{n}", now=now) for n in range(3)]
        await insert(store, *instances)
        for schedule in schedules:
            await store.insert_schedule(schedule)
        async with store.snapshot(EVERYTHING) as snapshot:
            moment, time = snapshot.moment, snapshot.time
        assert time <= await store.now()
        await store.abort("4")
        await insert(store, an_instance("new", execution_time=now + HOUR))
        assert await store.delete_schedule(schedules[1])

        async with store.snapshot(EVERYTHING, moment=moment) as again:
            assert (again.moment, again.time) == (moment, time)
            assert await again.estimate() in {6, 7}  # about
            assert await _read(again) == instances
            assert await _read_schedules(again) == schedules
            assert await _read_schedules(again, after="s0") == schedules[1:]
        place = PageKey(instances[2].execution_time, instances[2].id)
        async with store.snapshot(EVERYTHING, moment=moment, after=place) as rest:
            assert await _read(rest) == instances[3:]

    async def test_a_moment_that_never_was_is_refused(self, store: Store) -> None:
        async with store.snapshot(EVERYTHING) as snapshot:
            moment = snapshot.moment
        for never in ("", "x", "F" * 16, "0" * 16, f"{moment}0"):
            with pytest.raises(ResumeTokenInvalid):
                async with store.snapshot(EVERYTHING, moment=never):
                    pass
