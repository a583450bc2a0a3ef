"""Checks of ``beat``, ``leave``, ``recover`` and ``reclaim``."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from later_core.errors import NodeNotFound
from later_core.model.attempts import CLAIM_LOST
from later_core.model.instance import Delivery, Instance
from later_core.model.state import State
from later_core.ports.store import Store
from later_core.testing.builders import a_node, an_attempt, an_instance, succeeded
from later_core.testing.store_contract.steps import (
    HOUR,
    NODE,
    OTHER_NODE,
    Advance,
    claim,
    existing,
    insert,
    moment_of,
    run,
    together,
)

SHORT_LEASE = timedelta(milliseconds=100)


async def _die(store: Store, advance: Advance, *nodes: str) -> None:
    """Let the nodes beat once, for the last time, and their leases run out."""
    for node in nodes:
        assert await store.beat(a_node(node), lease=SHORT_LEASE) is not None
    await advance(SHORT_LEASE.total_seconds() + 0.05)


class NodesContract:
    """Who lives keeps its work, who died loses it to exactly one other."""

    async def test_a_beat_answers_the_time_of_the_database(self, store: Store) -> None:
        before = await moment_of(store)
        answer = await store.beat(a_node(NODE), lease=HOUR)
        assert answer is not None
        assert before <= answer <= await moment_of(store)
        again = await store.beat(a_node(NODE), lease=HOUR)
        assert again is not None
        assert answer <= again

    async def test_nodes_are_told_as_they_described_themselves(self, store: Store) -> None:
        assert list(await store.nodes()) == []
        busy = replace(
            a_node(NODE, tasks=("a", "b")),
            window_size=7,
            running=3,
            is_draining=True,
            is_drained=True,
            clock_offset=timedelta(milliseconds=-42),
            has_local_database=True,
        )
        idle = a_node(OTHER_NODE)
        times = [await store.beat(node, lease=HOUR) for node in (busy, idle)]
        assert [(s.node, s.beat_time, s.is_alive) for s in await store.nodes()] == [
            (busy, times[0], True),
            (idle, times[1], True),
        ]
        await store.leave(NODE)
        assert [status.node for status in await store.nodes()] == [idle]

    async def test_a_dead_node_is_told_of_as_dead(self, store: Store, advance: Advance) -> None:
        await _die(store, advance, NODE)
        assert [status.is_alive for status in await store.nodes()] == [True]
        await store.recover(limit=1)
        assert [status.is_alive for status in await store.nodes()] == [False]

    async def test_a_node_asked_to_drain_hears_of_it_until_it_leaves(self, store: Store) -> None:
        await store.beat(a_node(NODE), lease=HOUR)
        await store.beat(a_node(OTHER_NODE), lease=HOUR)
        for _ in range(2):
            assert (await store.ask_to_drain(NODE)).is_asked_to_drain
        await store.beat(a_node(NODE), lease=HOUR)
        assert [s.is_asked_to_drain for s in await store.nodes()] == [True, False]

    async def test_only_a_living_node_can_be_asked_to_drain(
        self, store: Store, advance: Advance
    ) -> None:
        await _die(store, advance, NODE)
        await store.recover(limit=1)
        for id in (NODE, "nobody"):
            with pytest.raises(NodeNotFound) as caught:
                await store.ask_to_drain(id)
            assert caught.value.node == id

    async def test_an_empty_store_has_nothing_to_recover(self, store: Store) -> None:
        assert list(await store.recover(limit=10)) == []

    async def test_the_work_of_living_nodes_is_left_alone(
        self, store: Store, advance: Advance
    ) -> None:
        await store.beat(a_node(NODE), lease=HOUR)
        await store.beat(a_node(OTHER_NODE), lease=SHORT_LEASE)
        a, b = await run(store, "a", "b")
        [c] = await run(store, "c", node=OTHER_NODE)
        # Renewed before it ran out, so the short lease no longer counts.
        assert await store.beat(a_node(OTHER_NODE), lease=HOUR) is not None
        await advance(SHORT_LEASE.total_seconds() + 0.05)
        assert list(await store.recover(limit=10)) == []
        assert [await store.get(id) for id in "abc"] == [a, b, c]

    async def test_a_dead_nodes_work_is_due_at_once(self, store: Store, advance: Advance) -> None:
        now = await moment_of(store)
        await insert(store, an_instance(execution_time=now - HOUR))
        await _die(store, advance, NODE)
        [running] = await claim(store, "one")
        begin = await moment_of(store)
        [taken] = await store.recover(limit=10)
        assert begin <= taken.execution_time <= await moment_of(store)
        assert taken.error is not None
        assert taken.error.reason == "NODE_LOST"
        assert taken == replace(
            running,
            state=State.PENDING,
            revision=3,
            execution_time=taken.execution_time,
            error=taken.error,
            uncounted_attempts=1,
            attempts=(an_attempt(end_time=taken.execution_time, error=taken.error),),
        )
        assert await store.get("one") == taken
        [again] = await claim(store, "one", node=OTHER_NODE)
        assert again.attempt == 2

    async def test_a_dead_nodes_work_at_most_once_has_failed(
        self, store: Store, advance: Advance
    ) -> None:
        await _die(store, advance, NODE)
        [running] = await run(store, "one", delivery=Delivery.AT_MOST_ONCE)
        begin = await moment_of(store)
        [failed] = await store.recover(limit=10)
        assert failed.error is not None
        assert failed.error.reason == "NODE_LOST"
        assert failed.finish_time is not None
        assert begin <= failed.finish_time <= await moment_of(store)
        assert failed == replace(
            running,
            state=State.FAILED,
            revision=3,
            finish_time=failed.finish_time,
            error=failed.error,
            attempts=(an_attempt(end_time=failed.finish_time, error=failed.error),),
        )
        assert await store.get("one") == failed
        assert list(await store.claim(["one"], node=NODE, until=begin + HOUR)) == []

    async def test_work_of_an_unknown_node_is_taken_too(self, store: Store) -> None:
        await store.beat(a_node(NODE), lease=HOUR)
        [mine] = await run(store, "mine")
        await run(store, "lost", node="never-seen")
        assert [instance.id for instance in await store.recover(limit=10)] == ["lost"]
        assert await store.get("mine") == mine

    async def test_what_a_node_left_running_is_taken(self, store: Store) -> None:
        await store.beat(a_node(NODE), lease=HOUR)
        await run(store, "one")
        assert list(await store.recover(limit=10)) == []
        await store.leave(NODE)
        assert [instance.id for instance in await store.recover(limit=10)] == ["one"]

    async def test_leaving_twice_or_unseen_does_no_harm(self, store: Store) -> None:
        await store.leave("never-seen")
        await store.beat(a_node(NODE), lease=HOUR)
        await store.leave(NODE)
        await store.leave(NODE)
        assert await store.beat(a_node(NODE), lease=HOUR) is not None

    async def test_only_running_work_is_taken(self, store: Store, advance: Advance) -> None:
        await _die(store, advance, NODE)
        now = await moment_of(store)
        pending = an_instance("pending", execution_time=now)
        await insert(store, pending)
        ended, aborted, _ = await run(store, "ended", "aborted", "running")
        await store.finish([succeeded(ended, at=now)])
        await store.abort("aborted")
        before = [await store.get(id) for id in ("pending", "ended", "aborted")]
        assert [instance.id for instance in await store.recover(limit=10)] == ["running"]
        assert [await store.get(id) for id in ("pending", "ended", "aborted")] == before
        assert aborted.state is State.RUNNING

    async def test_a_late_beat_renews_while_nobody_has_noticed(
        self, store: Store, advance: Advance
    ) -> None:
        await _die(store, advance, NODE)
        [running] = await run(store, "one")
        assert await store.beat(a_node(NODE), lease=HOUR) is not None
        assert list(await store.recover(limit=10)) == []
        assert await store.get("one") == running

    async def test_who_was_declared_dead_stays_dead(self, store: Store, advance: Advance) -> None:
        await _die(store, advance, NODE)
        # There is nothing to take from it, and it is declared dead all the same.
        assert list(await store.recover(limit=10)) == []
        assert await store.beat(a_node(NODE), lease=HOUR) is None
        assert await store.beat(a_node(NODE), lease=HOUR) is None
        assert await store.beat(a_node("node-a-reborn"), lease=HOUR) is not None
        # What it claims in spite of that is taken from it.
        await run(store, "one")
        assert [instance.id for instance in await store.recover(limit=10)] == ["one"]

    async def test_recovery_goes_on_until_an_answer_is_short(
        self, store: Store, advance: Advance
    ) -> None:
        await _die(store, advance, NODE)
        ids = [f"id-{n}" for n in range(5)]
        await run(store, *ids)
        answers = [await store.recover(limit=2) for _ in range(4)]
        assert [len(answer) for answer in answers] == [2, 2, 1, 0]
        assert sorted(instance.id for answer in answers for instance in answer) == ids

    async def test_of_recoveries_at_the_same_time_one_takes_each(
        self, store: Store, advance: Advance
    ) -> None:
        await _die(store, advance, NODE, OTHER_NODE)
        ids = [f"id-{n:02d}" for n in range(60)]
        await run(store, *ids[:30])
        await run(store, *ids[30:], node=OTHER_NODE)
        answers = await together(*(store.recover(limit=1000) for _ in range(4)))
        taken = [instance for answer in answers for instance in answer]
        assert sorted(instance.id for instance in taken) == ids
        for instance in taken:
            assert instance.revision == 3
            assert await store.get(instance.id) == instance

    async def test_a_claim_that_nobody_runs_is_handed_back(self, store: Store) -> None:
        await store.beat(a_node(NODE), lease=HOUR)
        known, lost, older = await run(store, "known", "lost", "older")
        [foreign] = await run(store, "foreign", node=OTHER_NODE)
        begin = await moment_of(store)
        # Another attempt of the same instance is not the one that is running.
        handed_back = await store.reclaim(NODE, {("known", 1), ("older", 2)})
        by_id = {instance.id: instance for instance in handed_back}
        ends = {id: instance.attempts[-1].end_time for id, instance in by_id.items()}
        now = await moment_of(store)
        assert all(begin <= end <= now for end in ends.values())
        assert by_id == {
            instance.id: replace(
                instance,
                state=State.PENDING,
                revision=3,
                uncounted_attempts=1,
                attempts=(an_attempt(end_time=ends[instance.id], error=CLAIM_LOST),),
            )
            for instance in (lost, older)
        }
        for instance in (known, foreign, *by_id.values()):
            assert await store.get(instance.id) == instance
        [again] = await claim(store, "lost")
        assert again.attempt == 2

    async def test_a_node_that_runs_all_it_claimed_hands_nothing_back(self, store: Store) -> None:
        running: list[Instance] = await run(store, "a", "b")
        assert list(await store.reclaim(NODE, [(i.id, i.attempt) for i in running])) == []
        assert list(await store.reclaim("never-seen", [])) == []
        assert [await existing(store, id) for id in "ab"] == running
