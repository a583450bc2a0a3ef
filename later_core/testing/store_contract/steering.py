"""Checks of ``abort``, ``reschedule`` and ``retry``."""

from __future__ import annotations

from dataclasses import replace

import pytest

from later_core.errors import (
    InstanceEnded,
    InstanceNotEnded,
    InstanceNotFound,
    InstanceRunning,
    LaterError,
    RevisionMismatch,
)
from later_core.model.attempts import ABORTED
from later_core.model.instance import Instance
from later_core.model.retry import RetryPolicy
from later_core.model.state import State
from later_core.ports.store import Aborted, Store
from later_core.testing.builders import (
    an_attempt,
    an_instance,
    failed,
    failed_for_now,
    succeeded,
)
from later_core.testing.store_contract.steps import (
    HOUR,
    NODE,
    SECOND,
    all_due,
    both,
    claim,
    existing,
    insert,
    moment_of,
    outcome_of,
    run,
    together,
)


async def _ended(store: Store, id: str, state: State) -> Instance:
    [running] = await run(store, id, retry=RetryPolicy(max_attempts=3))
    now = await moment_of(store)
    match state:
        case State.SUCCEEDED:
            await store.finish([succeeded(running, at=now)])
        case State.FAILED:
            await store.finish([failed(running, at=now)])
        case _:
            await store.abort(id)
    return await existing(store, id)


FINAL = [State.SUCCEEDED, State.FAILED, State.ABORTED]


class SteeringContract:
    """An abort is exact, a reschedule loses no update, a retry begins anew."""

    async def test_an_aborted_pending_instance_never_starts(self, store: Store) -> None:
        begin = await moment_of(store)
        instance = an_instance(execution_time=begin)
        await insert(store, instance)
        answer = await store.abort("one")
        assert answer.before == instance
        finish_time = answer.after.finish_time
        assert finish_time is not None
        assert begin <= finish_time <= await moment_of(store)
        assert answer.after == replace(
            instance, state=State.ABORTED, revision=2, finish_time=finish_time
        )
        assert await store.get("one") == answer.after
        assert await all_due(store, until=begin + HOUR) == []
        assert list(await store.claim(["one"], node=NODE, until=begin + HOUR)) == []

    async def test_an_abort_of_a_running_instance_names_who_runs_it(self, store: Store) -> None:
        [running] = await run(store, "one")
        answer = await store.abort("one")
        assert answer.before == running
        assert answer.after == replace(
            running,
            state=State.ABORTED,
            revision=3,
            finish_time=answer.after.finish_time,
            attempts=(an_attempt(end_time=answer.after.finish_time, error=ABORTED),),
        )
        assert await store.finish([succeeded(running, at=await moment_of(store))]) == [False]
        assert await store.get("one") == answer.after

    @pytest.mark.parametrize("state", FINAL)
    async def test_what_has_ended_cannot_be_aborted(self, store: Store, state: State) -> None:
        ended = await _ended(store, "one", state)
        with pytest.raises(InstanceEnded) as caught:
            await store.abort("one")
        assert (caught.value.id, caught.value.state) == ("one", state)
        assert await store.get("one") == ended

    async def test_of_aborts_at_the_same_time_one_takes_effect(self, store: Store) -> None:
        await run(store, "one")
        outcomes = await together(*(outcome_of(store.abort("one")) for _ in range(5)))
        assert sum(isinstance(outcome, Aborted) for outcome in outcomes) == 1
        assert sum(isinstance(outcome, InstanceEnded) for outcome in outcomes) == 4

    async def test_an_abort_and_a_claim_agree_on_which_came_first(self, store: Store) -> None:
        now = await moment_of(store)
        ids = [f"id-{n}" for n in range(20)]
        await insert(store, *(an_instance(id, execution_time=now) for id in ids))
        aborts = [outcome_of(store.abort(id)) for id in ids]
        claims = [store.claim([id], node=NODE, until=now) for id in ids]
        claimed, aborted = await both(together(*claims), together(*aborts))
        for won, outcome in zip(claimed, aborted, strict=True):
            assert isinstance(outcome, Aborted)
            assert outcome.before.state is (State.RUNNING if won else State.PENDING)
            assert outcome.after.state is State.ABORTED

    async def test_an_abort_and_an_end_agree_on_which_came_first(self, store: Store) -> None:
        running = await run(store, *(f"id-{n}" for n in range(20)))
        now = await moment_of(store)
        ends = [store.finish([succeeded(instance, at=now)]) for instance in running]
        aborts = [outcome_of(store.abort(instance.id)) for instance in running]
        accepted, aborted = await both(together(*ends), together(*aborts))
        for instance, [is_accepted], outcome in zip(running, accepted, aborted, strict=True):
            after = await existing(store, instance.id)
            assert after.revision == 3
            assert after.state is (State.SUCCEEDED if is_accepted else State.ABORTED)
            assert isinstance(outcome, InstanceEnded if is_accepted else Aborted)

    async def test_a_pending_instance_moves_to_another_time(self, store: Store) -> None:
        now = await moment_of(store)
        instance = an_instance(execution_time=now)
        await insert(store, instance)
        moved = await store.reschedule("one", now + HOUR, revision=None)
        assert moved == replace(instance, execution_time=now + HOUR, revision=2)
        assert await store.get("one") == moved
        assert await all_due(store, until=now + HOUR - SECOND) == []
        assert [entry.id for entry in await all_due(store, until=now + HOUR)] == ["one"]
        back = await store.reschedule("one", now - HOUR, revision=2)
        assert (back.execution_time, back.revision) == (now - HOUR, 3)

    async def test_a_reschedule_never_overwrites_a_change_unseen(self, store: Store) -> None:
        now = await moment_of(store)
        await insert(store, an_instance(execution_time=now))
        moved = await store.reschedule("one", now + HOUR, revision=1)
        with pytest.raises(RevisionMismatch) as caught:
            await store.reschedule("one", now + 2 * HOUR, revision=1)
        assert (caught.value.expected, caught.value.actual) == (1, 2)
        assert await store.get("one") == moved

    async def test_of_reschedules_with_one_revision_one_takes_effect(self, store: Store) -> None:
        now = await moment_of(store)
        await insert(store, an_instance(execution_time=now))
        outcomes = await together(
            *(
                outcome_of(store.reschedule("one", now + n * SECOND, revision=1))
                for n in range(1, 6)
            )
        )
        [winner] = [outcome for outcome in outcomes if isinstance(outcome, Instance)]
        assert sum(isinstance(outcome, RevisionMismatch) for outcome in outcomes) == 4
        assert await store.get("one") == winner

    async def test_reschedules_without_a_revision_all_take_effect(self, store: Store) -> None:
        now = await moment_of(store)
        await insert(store, an_instance(execution_time=now))
        answers = await together(
            *(store.reschedule("one", now + n * SECOND, revision=None) for n in range(1, 6))
        )
        assert sorted(answer.revision for answer in answers) == [2, 3, 4, 5, 6]
        last = max(answers, key=lambda answer: answer.revision)
        assert await store.get("one") == last

    async def test_only_what_is_pending_can_be_rescheduled(self, store: Store) -> None:
        now = await moment_of(store)
        [running] = await run(store, "running")
        ended = await _ended(store, "ended", State.FAILED)
        with pytest.raises(InstanceRunning):
            await store.reschedule("running", now, revision=None)
        with pytest.raises(InstanceEnded) as caught:
            await store.reschedule("ended", now, revision=None)
        assert caught.value.state == State.FAILED
        assert [await store.get(id) for id in ("running", "ended")] == [running, ended]

    @pytest.mark.parametrize("state", FINAL)
    async def test_a_retry_begins_anew_and_counts_on(self, store: Store, state: State) -> None:
        ended = await _ended(store, "one", state)
        due = ended.execution_time + SECOND
        pending = await store.retry("one", due)
        assert pending == replace(
            ended,
            state=State.PENDING,
            execution_time=due,
            revision=ended.revision + 1,
            uncounted_attempts=1,
            node=None,
            start_time=None,
            finish_time=None,
            result=b"",
            error=None,
        )
        assert await store.get("one") == pending
        assert [entry.id for entry in await all_due(store, until=due)] == ["one"]
        [running] = await claim(store, "one")
        assert running.attempt == 2

    async def test_each_retry_begins_the_policy_anew(self, store: Store) -> None:
        policy = RetryPolicy(max_attempts=2)
        [running] = await run(store, "one", retry=policy)
        now = await moment_of(store)
        await store.finish([failed_for_now(running, at=now, next_time=now)])
        for made in (2, 3):
            [running] = await claim(store, "one")
            await store.finish([failed(running, at=now)])
            pending = await store.retry("one", now)
            assert (pending.attempt, pending.counted_attempts, pending.retry) == (made, 0, policy)

    async def test_a_retry_of_what_never_started_has_its_first_attempt(self, store: Store) -> None:
        now = await moment_of(store)
        await insert(store, an_instance(execution_time=now))
        await store.abort("one")
        pending = await store.retry("one", now)
        assert (pending.attempt, pending.counted_attempts, pending.revision) == (0, 0, 3)
        [running] = await claim(store, "one")
        assert running.attempt == 1

    async def test_only_what_has_ended_can_be_retried(self, store: Store) -> None:
        now = await moment_of(store)
        await run(store, "running")
        await insert(store, an_instance("pending", execution_time=now))
        for id, state in [("running", State.RUNNING), ("pending", State.PENDING)]:
            before = await store.get(id)
            with pytest.raises(InstanceNotEnded) as caught:
                await store.retry(id, now)
            assert (caught.value.id, caught.value.state) == (id, state)
            assert await store.get(id) == before

    async def test_of_retries_at_the_same_time_one_takes_effect(self, store: Store) -> None:
        ended = await _ended(store, "one", State.FAILED)
        outcomes = await together(
            *(outcome_of(store.retry("one", ended.execution_time)) for _ in range(5))
        )
        assert sum(isinstance(outcome, Instance) for outcome in outcomes) == 1
        assert sum(isinstance(outcome, InstanceNotEnded) for outcome in outcomes) == 4
        assert (await existing(store, "one")).revision == ended.revision + 1

    async def test_what_does_not_exist_is_not_found(self, store: Store) -> None:
        now = await moment_of(store)
        outcomes: list[object | LaterError] = [
            await outcome_of(store.abort("nobody")),
            await outcome_of(store.reschedule("nobody", now, revision=None)),
            await outcome_of(store.reschedule("nobody", now, revision=1)),
            await outcome_of(store.retry("nobody", now)),
        ]
        for outcome in outcomes:
            assert isinstance(outcome, InstanceNotFound)
            assert outcome.id == "nobody"
