"""Checks of ``started`` and ``finish``."""

from __future__ import annotations

from dataclasses import replace

import pytest

from later_core.model.outcome import Ending
from later_core.model.state import State
from later_core.ports.store import Store
from later_core.testing.builders import (
    BROKEN,
    a_node,
    an_attempt,
    an_instance,
    failed,
    failed_for_now,
    succeeded,
)
from later_core.testing.store_contract.steps import (
    HOUR,
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


class EndingContract:
    """The end of an attempt is written once, by the owner of that very attempt alone."""

    async def test_started_records_when_the_code_began(self, store: Store) -> None:
        a, b = await run(store, "a", "b")
        now = await moment_of(store)
        await store.started({("a", 1): now, ("b", 1): now + SECOND}, node=NODE)
        assert await store.get("a") == replace(a, start_time=now, revision=3)
        assert await store.get("b") == replace(b, start_time=now + SECOND, revision=3)

    async def test_started_leaves_alone_what_is_not_this_attempt(self, store: Store) -> None:
        [running] = await run(store, "running")
        [ended] = await run(store, "ended")
        now = await moment_of(store)
        await store.finish([succeeded(ended, at=now)])
        ended = await existing(store, "ended")
        await store.started({("running", 1): now, ("ended", 1): now}, node=OTHER_NODE)
        await store.started({("running", 2): now, ("nobody", 1): now}, node=NODE)
        await store.started({("ended", 1): now + SECOND}, node=NODE)
        await store.started({}, node=NODE)
        assert await store.get("running") == running
        assert await store.get("ended") == ended

    async def test_a_success_is_written_with_its_result(self, store: Store) -> None:
        [running] = await run(store, "one")
        now = await moment_of(store)
        assert await store.finish([succeeded(running, at=now, result=b"\x00out")]) == [True]
        assert await store.get("one") == replace(
            running,
            state=State.SUCCEEDED,
            revision=3,
            start_time=now,
            finish_time=now,
            result=b"\x00out",
            attempts=(an_attempt(start_time=now, end_time=now),),
        )

    async def test_a_failure_is_written_with_its_error(self, store: Store) -> None:
        [running] = await run(store, "one")
        now = await moment_of(store)
        assert await store.finish([failed(running, at=now)]) == [True]
        assert await store.get("one") == replace(
            running,
            state=State.FAILED,
            revision=3,
            start_time=now,
            finish_time=now,
            error=BROKEN,
            attempts=(an_attempt(start_time=now, end_time=now, error=BROKEN),),
        )
        assert await all_due(store, until=now + HOUR) == []

    async def test_a_failure_that_is_tried_again_waits_for_its_time(self, store: Store) -> None:
        [running] = await run(store, "one")
        now = await moment_of(store)
        ending = failed_for_now(running, at=now, next_time=now + SECOND)
        assert await store.finish([ending]) == [True]
        assert await store.get("one") == replace(
            running,
            state=State.PENDING,
            revision=3,
            start_time=now,
            execution_time=now + SECOND,
            error=BROKEN,
            attempts=(an_attempt(start_time=now, end_time=now, error=BROKEN),),
        )
        assert await all_due(store, until=now) == []
        assert [entry.id for entry in await all_due(store, until=now + SECOND)] == ["one"]

    async def test_finishing_nothing_answers_nothing(self, store: Store) -> None:
        assert list(await store.finish([])) == []

    async def test_nobody_but_the_owner_of_the_attempt_can_end_it(self, store: Store) -> None:
        now = await moment_of(store)
        [running] = await run(store, "one")
        pending = an_instance("pending", execution_time=now)
        await insert(store, pending)
        good = succeeded(running, at=now)
        strangers = [
            replace(good, node=OTHER_NODE),
            replace(good, attempt=2),
            replace(good, attempt=0),
            replace(good, id="pending"),
            replace(good, id="nobody"),
        ]
        assert list(await store.finish(strangers)) == [False] * 5
        for stranger in strangers:
            assert list(await store.finish([stranger])) == [False]
        assert await store.get("one") == running
        assert await store.get("pending") == pending

    @pytest.mark.parametrize("kind", ["succeeded", "failed", "failed for now"])
    async def test_a_repeated_ending_is_accepted_and_changes_nothing(
        self, store: Store, kind: str
    ) -> None:
        [running] = await run(store, "one")
        now = await moment_of(store)
        ending: Ending = {
            "succeeded": succeeded(running, at=now),
            "failed": failed(running, at=now),
            "failed for now": failed_for_now(running, at=now, next_time=now + SECOND),
        }[kind]
        assert await store.finish([ending]) == [True]
        written = await store.get("one")
        assert await store.finish([ending]) == [True]
        assert await store.get("one") == written

    async def test_another_ending_of_the_same_attempt_is_refused(self, store: Store) -> None:
        [running] = await run(store, "one")
        now = await moment_of(store)
        assert await store.finish([succeeded(running, at=now)]) == [True]
        written = await store.get("one")
        assert await store.finish([failed(running, at=now)]) == [False]
        assert await store.finish([failed_for_now(running, at=now, next_time=now)]) == [False]
        assert await store.get("one") == written

    async def test_of_endings_at_the_same_time_one_is_accepted(self, store: Store) -> None:
        [running] = await run(store, "one")
        now = await moment_of(store)
        answers = await together(
            store.finish([succeeded(running, at=now)]), store.finish([failed(running, at=now)])
        )
        assert sorted(accepted for [accepted] in answers) == [False, True]
        assert (await existing(store, "one")).revision == 3

    async def test_the_end_of_an_earlier_attempt_changes_nothing(self, store: Store) -> None:
        [first] = await run(store, "one")
        now = await moment_of(store)
        await store.finish([failed_for_now(first, at=now, next_time=now)])
        [second] = await claim(store, "one")
        assert await store.finish([succeeded(first, at=now)]) == [False]
        assert await store.get("one") == second

    async def test_a_mixed_batch_is_answered_in_the_order_of_the_arguments(
        self, store: Store
    ) -> None:
        running = await run(store, *(f"id-{n:03d}" for n in range(300)))
        now = await moment_of(store)
        for instance in running[::3]:
            await store.abort(instance.id)
        endings = [
            failed(i, at=now) if n % 3 == 1 else succeeded(i, at=now, result=str(n).encode())
            for n, i in enumerate(running)
        ]
        assert list(await store.finish(endings)) == [n % 3 != 0 for n in range(300)]
        for n, instance in enumerate(running):
            after = await existing(store, instance.id)
            assert after.revision == 3
            assert after.state is (State.ABORTED, State.FAILED, State.SUCCEEDED)[n % 3]
            assert after.result == (str(n).encode() if n % 3 == 2 else b"")

    async def test_what_was_taken_over_cannot_be_ended_by_its_old_owner(self, store: Store) -> None:
        # Its node never gave a sign of life, so anyone may take it over.
        [running] = await run(store, "one")
        now = await moment_of(store)
        await store.beat(a_node(OTHER_NODE), lease=HOUR)
        [taken] = await store.recover(limit=10)
        assert await store.finish([succeeded(running, at=now)]) == [False]
        assert await store.get("one") == taken
        [again] = await claim(store, "one", node=OTHER_NODE)
        assert await store.finish([succeeded(running, at=now)]) == [False]
        assert await store.get("one") == again
        assert await store.finish([succeeded(again, at=now)]) == [True]

    async def test_an_ended_instance_keeps_the_time_it_was_due(self, store: Store) -> None:
        [running] = await run(store, "one")
        now = await moment_of(store)
        await store.finish([succeeded(running, at=now + SECOND)])
        assert (await existing(store, "one")).execution_time == running.execution_time
