"""Checks of ``now``, ``insert`` and ``get``."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, timedelta

from later_core.model.concurrency import Concurrency
from later_core.model.instance import Delivery
from later_core.model.instant import round_up
from later_core.model.retry import RetryPolicy
from later_core.model.state import State
from later_core.ports.store import IdTaken, Inserted, Store
from later_core.testing.builders import an_instance
from later_core.testing.store_contract.steps import (
    Advance,
    claim,
    existing,
    insert,
    moment_of,
    together,
)


class CreatingContract:
    """What is created is stored exactly, once, whoever repeats the call."""

    async def test_now_is_utc_in_whole_milliseconds_and_moves_on(
        self, store: Store, advance: Advance
    ) -> None:
        before = await moment_of(store)
        await advance(0.02)
        after = await moment_of(store)
        assert before.utcoffset() == timedelta(0)
        assert round_up(before) == before
        assert after >= before + timedelta(milliseconds=20)

    async def test_an_instance_is_stored_exactly_as_it_was_given(self, store: Store) -> None:
        now = await moment_of(store)
        instance = an_instance(
            "full-1.2_3~4",
            execution_time=now + timedelta(days=400, milliseconds=1),
            create_time=now,
            task="http-post",
            parameters=bytes(range(256)),
            retry=RetryPolicy(
                max_attempts=7,
                min_backoff=timedelta(milliseconds=1500),
                max_backoff=timedelta(days=2),
                multiplier=1.5,
                jitter=0.25,
                final_reasons=("GONE", "REFUSED"),
            ),
            timeout=timedelta(milliseconds=250),
            start_deadline=timedelta(hours=3),
            concurrency=Concurrency(key="the database", limit=3),
            delivery=Delivery.AT_MOST_ONCE,
            labels={"team": "a", "app.example.com/name": "b.c", "x": "", "long": "é" * 255},
            schedule_id="nightly",
            priority=100,
        )
        await insert(store, instance)
        stored = await existing(store, instance.id)
        assert stored == instance
        assert (stored.state, stored.revision, stored.attempt) == (State.PENDING, 1, 0)
        assert (
            stored.execution_time.tzinfo is UTC or stored.execution_time.utcoffset() == timedelta(0)
        )

    async def test_an_instance_with_nothing_but_a_time_is_stored_too(self, store: Store) -> None:
        instance = an_instance(execution_time=await moment_of(store))
        await insert(store, instance)
        assert await store.get("one") == instance

    async def test_an_unknown_id_is_none(self, store: Store) -> None:
        assert await store.get("nobody") is None

    async def test_inserting_nothing_answers_nothing(self, store: Store) -> None:
        assert list(await store.insert([])) == []

    async def test_a_thousand_are_answered_in_the_order_of_the_arguments(
        self, store: Store
    ) -> None:
        now = await moment_of(store)
        instances = [
            an_instance(f"id-{(n * 7919) % 1000:03d}", execution_time=now) for n in range(1000)
        ]
        await insert(store, *instances)
        assert (await store.counts([])).by_state[State.PENDING] == 1000

    async def test_a_repeated_insert_answers_what_is_stored(self, store: Store) -> None:
        first = an_instance(execution_time=await moment_of(store))
        await insert(store, first)
        # The service cannot know what time it gave to the first call, only the content asked for.
        again = replace(first, execution_time=first.execution_time + timedelta(seconds=5))
        assert list(await store.insert([again])) == [Inserted(first, is_new=False)]
        assert await store.get("one") == first

    async def test_a_repeated_insert_answers_the_state_of_today(self, store: Store) -> None:
        instance = an_instance(execution_time=await moment_of(store))
        await insert(store, instance)
        await claim(store, "one")
        after = (await store.abort("one")).after
        assert list(await store.insert([instance])) == [Inserted(after, is_new=False)]
        assert await store.get("one") == after

    async def test_an_id_of_other_content_is_taken(self, store: Store) -> None:
        first = an_instance(execution_time=await moment_of(store))
        await insert(store, first)
        other = replace(first, fingerprint=b"other", task="other")
        assert list(await store.insert([other])) == [IdTaken("one")]
        assert await store.get("one") == first

    async def test_repeats_and_taken_ids_within_one_call(self, store: Store) -> None:
        now = await moment_of(store)
        a = an_instance("a", execution_time=now)
        b = an_instance("b", execution_time=now)
        c = an_instance("c", execution_time=now)
        await insert(store, b)
        results = await store.insert([a, a, replace(a, fingerprint=b"other"), b, c])
        assert list(results) == [
            Inserted(a, is_new=True),
            Inserted(a, is_new=False),
            IdTaken("a"),
            Inserted(b, is_new=False),
            Inserted(c, is_new=True),
        ]
        assert [await store.get(id) for id in "abc"] == [a, b, c]

    async def test_of_many_that_insert_one_id_at_once_one_is_new(self, store: Store) -> None:
        now = await moment_of(store)
        instances = [an_instance(f"id-{n}", execution_time=now) for n in range(20)]
        answers = await together(*(store.insert(instances) for _ in range(5)))
        for place, instance in enumerate(instances):
            results = [answer[place] for answer in answers]
            assert results.count(Inserted(instance, is_new=True)) == 1
            assert results.count(Inserted(instance, is_new=False)) == 4
