"""Checks of ``due`` and ``claim``."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from later_core.model.bucket import BUCKETS, bucket_of
from later_core.model.instance import Instance
from later_core.model.instant import EARLIEST, LATEST, to_millis
from later_core.model.query import DueEntry
from later_core.model.state import State
from later_core.ports.store import Store
from later_core.testing.builders import an_instance, failed_for_now, succeeded
from later_core.testing.store_contract.steps import (
    HOUR,
    MILLISECOND,
    NODE,
    OTHER_NODE,
    SECOND,
    all_due,
    claim,
    existing,
    insert,
    moment_of,
    run,
    together,
)


def _entry(instance: Instance) -> DueEntry:
    return DueEntry(to_millis(instance.execution_time), instance.id)


class StartingContract:
    """What is due is found however old, and each attempt is claimed once."""

    async def test_an_empty_store_has_nothing_due(self, store: Store) -> None:
        assert await all_due(store, until=LATEST) == []

    async def test_what_is_overdue_is_due_however_old(self, store: Store) -> None:
        now = await moment_of(store)
        ages = [timedelta(), SECOND, timedelta(minutes=2), timedelta(days=30), timedelta(days=8000)]
        instances = [an_instance(f"id-{n}", execution_time=now - age) for n, age in enumerate(ages)]
        oldest = an_instance("oldest", execution_time=EARLIEST)
        future = an_instance("future", execution_time=now + MILLISECOND)
        await insert(store, *instances, oldest, future)
        assert await all_due(store, until=now) == [
            _entry(instance) for instance in [oldest, *reversed(instances)]
        ]

    async def test_since_and_until_are_both_within(self, store: Store) -> None:
        now = await moment_of(store)
        instances = [an_instance(str(n), execution_time=now + n * MILLISECOND) for n in range(5)]
        await insert(store, *instances)
        found = await all_due(store, since=now + MILLISECOND, until=now + 3 * MILLISECOND)
        assert found == [_entry(instance) for instance in instances[1:4]]

    async def test_entries_come_in_order_behind_the_last_one(self, store: Store) -> None:
        now = await moment_of(store)
        instances = [
            an_instance(f"id-{(n * 11) % 40:02d}", execution_time=now + (n % 3) * MILLISECOND)
            for n in range(40)
        ]
        await insert(store, *instances)
        expected = sorted(
            (_entry(instance) for instance in instances), key=lambda e: (e.due_ms, e.id)
        )
        for limit in (1, 7, 1000):
            assert await all_due(store, until=now + SECOND, limit=limit) == expected

    async def test_buckets_share_what_is_due_without_overlap_or_loss(self, store: Store) -> None:
        now = await moment_of(store)
        instances = [an_instance(f"id-{n}", execution_time=now) for n in range(60)]
        await insert(store, *instances)
        shares = [range(100), range(100, 200), range(200, BUCKETS)]
        found = [await all_due(store, until=now, buckets=share, limit=7) for share in shares]
        for share, entries in zip(shares, found, strict=True):
            assert entries
            assert all(bucket_of(entry.id) in share for entry in entries)
        assert sorted(entry.id for entries in found for entry in entries) == sorted(
            instance.id for instance in instances
        )
        assert await all_due(store, until=now, buckets=[]) == []

    async def test_after_and_since_hold_together(self, store: Store) -> None:
        now = await moment_of(store)
        instances = [an_instance(str(n), execution_time=now + n * MILLISECOND) for n in range(4)]
        await insert(store, *instances)
        found = await store.due(
            tasks=["echo"],
            since=now + 2 * MILLISECOND,
            until=now + SECOND,
            after=_entry(instances[0]),
            limit=10,
        )
        assert list(found) == [_entry(instance) for instance in instances[2:]]

    async def test_only_what_is_pending_is_due(self, store: Store) -> None:
        now = await moment_of(store)
        await run(store, "running")
        [running] = await run(store, "ended")
        await store.finish([succeeded(running, at=now)])
        await insert(store, an_instance("pending", execution_time=now))
        assert [entry.id for entry in await all_due(store, until=now + HOUR)] == ["pending"]

    async def test_only_the_tasks_asked_for_are_due(self, store: Store) -> None:
        now = await moment_of(store)
        tasks = ["echo", "bash", "mail", "echo"]
        await insert(
            store,
            *(an_instance(str(n), execution_time=now, task=task) for n, task in enumerate(tasks)),
        )
        for limit in (1, 1000):
            found = await all_due(store, until=now, tasks=["echo"], limit=limit)
            assert [entry.id for entry in found] == ["0", "3"]
        found = await all_due(store, until=now, tasks=["mail", "bash", "unheard-of"])
        assert [entry.id for entry in found] == ["1", "2"]
        assert await all_due(store, until=now, tasks=[]) == []

    async def test_a_claim_makes_it_running_on_this_node(self, store: Store) -> None:
        now = await moment_of(store)
        instance = an_instance(execution_time=now, parameters=b"p", labels={"a": "b"})
        await insert(store, instance)
        [running] = await store.claim(["one"], node=NODE, until=now)
        assert running == replace(instance, state=State.RUNNING, node=NODE, attempt=1, revision=2)
        assert await store.get("one") == running

    async def test_claiming_nothing_answers_nothing(self, store: Store) -> None:
        assert list(await store.claim([], node=NODE, until=LATEST)) == []
        assert list(await store.claim(["nobody"], node=NODE, until=LATEST)) == []

    async def test_what_is_not_due_is_not_claimed(self, store: Store) -> None:
        now = await moment_of(store)
        due = an_instance("due", execution_time=now)
        early = an_instance("early", execution_time=now + MILLISECOND)
        await insert(store, due, early)
        claimed = await store.claim(["due", "early"], node=NODE, until=now)
        assert [instance.id for instance in claimed] == ["due"]
        assert await store.get("early") == early

    async def test_what_was_rescheduled_meanwhile_is_not_claimed(self, store: Store) -> None:
        now = await moment_of(store)
        await insert(store, an_instance(execution_time=now))
        moved = await store.reschedule("one", now + HOUR, revision=None)
        assert list(await store.claim(["one"], node=NODE, until=now)) == []
        assert await store.get("one") == moved

    async def test_what_is_claimed_cannot_be_claimed_again(self, store: Store) -> None:
        [running] = await run(store, "one")
        for node in (NODE, OTHER_NODE):
            assert list(await store.claim(["one"], node=node, until=LATEST)) == []
        assert await store.get("one") == running

    async def test_a_claim_answers_only_what_it_claimed_itself(self, store: Store) -> None:
        now = await moment_of(store)
        await insert(store, *(an_instance(id, execution_time=now) for id in "abcd"))
        await claim(store, "a", "b")
        again = await store.claim(["a", "b", "c", "d"], node=NODE, until=now)
        assert {instance.id for instance in again} == {"c", "d"}
        assert all(instance.attempt == 1 for instance in again)

    async def test_an_id_named_twice_is_claimed_once(self, store: Store) -> None:
        now = await moment_of(store)
        await insert(store, an_instance(execution_time=now))
        claimed = await store.claim(["one", "one"], node=NODE, until=now)
        assert [instance.attempt for instance in claimed] == [1]
        assert await store.get("one") == claimed[0]

    async def test_of_claims_at_the_same_time_each_instance_is_won_once(self, store: Store) -> None:
        now = await moment_of(store)
        ids = [f"id-{n:03d}" for n in range(200)]
        await insert(store, *(an_instance(id, execution_time=now) for id in ids))
        nodes = [f"node-{n}" for n in range(4)]
        # Two claims of each node too: an answer names what that very call won, not its node.
        answers = await together(
            *(
                store.claim(ids[:: 1 if k % 2 else -1], node=nodes[k // 2], until=now)
                for k in range(8)
            )
        )
        won = [instance for answer in answers for instance in answer]
        assert sorted(instance.id for instance in won) == ids
        for k, answer in enumerate(answers):
            for instance in answer:
                assert (instance.node, instance.attempt) == (nodes[k // 2], 1)
                assert await store.get(instance.id) == instance

    async def test_the_next_attempt_has_the_next_number_and_a_clean_start(
        self, store: Store
    ) -> None:
        [running] = await run(store, "one")
        now = await moment_of(store)
        await store.finish([failed_for_now(running, at=now, next_time=now + SECOND)])
        waiting = await existing(store, "one")
        assert waiting.error is not None
        assert list(await store.claim(["one"], node=NODE, until=now)) == []
        [again] = await claim(store, "one", node=OTHER_NODE)
        assert (again.attempt, again.node, again.revision) == (2, OTHER_NODE, 4)
        assert (again.start_time, again.error) == (None, None)
