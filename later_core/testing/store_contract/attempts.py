"""Checks of the history of attempts that stands on each instance."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from later_core.model.attempts import ABORTED, CLAIM_LOST
from later_core.model.instance import Delivery, Instance, InstanceError
from later_core.model.limits import (
    ATTEMPT_MESSAGE_MAX_LENGTH,
    ATTEMPTS_KEPT,
    ERROR_MESSAGE_MAX_LENGTH,
)
from later_core.model.query import Filter
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
    claim,
    existing,
    insert,
    moment_of,
    position_now,
    put_mark,
    run,
    story_since,
)

LONG = InstanceError(reason="LONG", message="é" * ERROR_MESSAGE_MAX_LENGTH)


async def _fail_for_now(store: Store, running: Instance, *, at: datetime) -> None:
    assert await store.finish([failed_for_now(running, at=at, next_time=at)]) == [True]


class AttemptsContract:
    """Whatever ends an attempt writes it into the history, and nothing else does."""

    async def test_each_attempt_is_told_with_its_end(self, store: Store) -> None:
        [first] = await run(store, "one")
        now = await moment_of(store)
        await store.started({("one", 1): now - SECOND}, node=NODE)
        first = await existing(store, "one")
        await _fail_for_now(store, first, at=now)
        [second] = await claim(store, "one", node=OTHER_NODE)
        told = (an_attempt(1, start_time=now - SECOND, end_time=now, error=BROKEN),)
        assert second.attempts == told
        await store.finish([succeeded(second, at=now + SECOND)])
        last = an_attempt(2, node=OTHER_NODE, start_time=now + SECOND, end_time=now + SECOND)
        ended = await existing(store, "one")
        assert ended.attempts == (*told, last)
        [listed] = (await store.list(Filter(), after=None, limit=2)).instances
        assert listed == ended

    async def test_an_attempt_whose_code_never_began_has_no_start(self, store: Store) -> None:
        [running] = await run(store, "one")
        now = await moment_of(store)
        handed_back = replace(failed_for_now(running, at=now, next_time=now), start_time=None)
        await store.finish([handed_back])
        assert (await existing(store, "one")).attempts == (an_attempt(end_time=now, error=BROKEN),)

    async def test_the_last_attempts_are_kept(self, store: Store) -> None:
        [running] = await run(store, "one")
        now = await moment_of(store)
        made = ATTEMPTS_KEPT + 3
        for number in range(1, made):
            await _fail_for_now(store, running, at=now + number * SECOND)
            [running] = await claim(store, "one")
            first_kept = max(1, number - ATTEMPTS_KEPT + 1)
            numbers = [attempt.number for attempt in running.attempts]
            assert numbers == list(range(first_kept, number + 1))
        await store.finish([failed(running, at=now + made * SECOND)])
        ended = await existing(store, "one")
        assert ended.attempt == made
        assert [attempt.number for attempt in ended.attempts] == list(
            range(made - ATTEMPTS_KEPT + 1, made + 1)
        )
        retried = await store.retry("one", now)
        assert retried.attempts == ended.attempts

    async def test_a_long_message_is_cut_off_in_the_history_alone(self, store: Store) -> None:
        [first, final] = await run(store, "first", "final")
        now = await moment_of(store)
        retried = replace(failed_for_now(first, at=now, next_time=now), error=LONG)
        await store.finish([retried, failed(final, at=now, error=LONG)])
        short = InstanceError(reason="LONG", message="é" * ATTEMPT_MESSAGE_MAX_LENGTH)
        for id in ("first", "final"):
            after = await existing(store, id)
            assert after.error == LONG
            assert [attempt.error for attempt in after.attempts] == [short]
        assert [a.error for a in (await store.retry("final", now)).attempts] == [short]

    async def test_a_retry_keeps_what_was(self, store: Store) -> None:
        runs = await run(store, "good", "bad", "aborted")
        now = await moment_of(store)
        note = InstanceError(reason="RESULT_TOO_LARGE", message="not kept")
        await store.finish(
            [replace(succeeded(runs[0], at=now), error=note), failed(runs[1], at=now)]
        )
        end_time = (await store.abort("aborted")).after.finish_time
        told = {
            "good": an_attempt(start_time=now, end_time=now),
            "bad": an_attempt(start_time=now, end_time=now, error=BROKEN),
            "aborted": an_attempt(end_time=end_time, error=ABORTED),
        }
        for id, attempt in told.items():
            assert (await existing(store, id)).attempts == (attempt,)
            assert (await store.retry(id, now)).attempts == (attempt,)
            [again] = await claim(store, id)
            assert again.attempts == (attempt,)
            await store.finish([succeeded(again, at=now)])
            ended = await existing(store, id)
            assert ended.attempts == (attempt, an_attempt(2, start_time=now, end_time=now))
            assert (await store.retry(id, now)).attempts == ended.attempts

    async def test_an_abort_between_attempts_ends_none(self, store: Store) -> None:
        [running] = await run(store, "failed")
        now = await moment_of(store)
        await _fail_for_now(store, running, at=now)
        await insert(store, an_instance("new", execution_time=now))
        for id, numbers in {"failed": [1], "new": []}.items():
            answer = await store.abort(id)
            assert answer.before.attempts == answer.after.attempts
            assert [attempt.number for attempt in answer.after.attempts] == numbers
            assert await existing(store, id) == answer.after
            assert (await store.retry(id, now)).attempts == answer.after.attempts

    async def test_what_was_before_an_abort_is_answered_as_it_was(self, store: Store) -> None:
        [running] = await run(store, "one")
        now = await moment_of(store)
        for _ in range(ATTEMPTS_KEPT + 1):
            await _fail_for_now(store, running, at=now)
            [running] = await claim(store, "one")
        answer = await store.abort("one")
        assert answer.before == running
        assert answer.after.attempts[:-1] == running.attempts[1:]

    async def test_attempts_that_were_lost_are_told_too(self, store: Store) -> None:
        await run(store, "again", node="lost")
        await run(store, "once", node="lost", delivery=Delivery.AT_MOST_ONCE)
        await store.beat(a_node(NODE), lease=HOUR)
        begin = await moment_of(store)
        taken = {instance.id: instance for instance in await store.recover(limit=10)}
        for id in ("again", "once"):
            [attempt] = taken[id].attempts
            assert (attempt.number, attempt.node) == (1, "lost")
            assert attempt.error is not None
            assert attempt.error.reason == "NODE_LOST"
            assert begin <= attempt.end_time <= await moment_of(store)
            assert await store.get(id) == taken[id]
        retried = await store.retry("once", begin)
        assert retried.attempts == taken["once"].attempts
        await claim(store, "again")
        await store.reclaim(NODE, [])
        after = await existing(store, "again")
        assert after.attempts[:1] == taken["again"].attempts
        assert [(a.number, a.node, a.error) for a in after.attempts[1:]] == [(2, NODE, CLAIM_LOST)]

    async def test_events_show_the_history_as_it_was(self, store: Store) -> None:
        position = await position_now(store)
        [running] = await run(store, "one")
        now = await moment_of(store)
        await _fail_for_now(store, running, at=now)
        [running] = await claim(store, "one")
        await store.finish([succeeded(running, at=now + timedelta(seconds=2))])
        await store.retry("one", now)
        await put_mark(store)
        shown = [event.instance for event in await story_since(store, position)]
        assert [
            (instance.state, [attempt.number for attempt in instance.attempts])
            for instance in shown
            if instance is not None
        ] == [
            (State.PENDING, []),
            (State.RUNNING, []),
            (State.PENDING, [1]),
            (State.RUNNING, [1]),
            (State.SUCCEEDED, [1, 2]),
            (State.PENDING, [1, 2]),
        ]
        assert shown[-1] == await existing(store, "one")
