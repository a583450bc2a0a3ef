"""The table of lawful moves, walked at random: whatever is asked, no other move ever happens."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Coroutine
from dataclasses import replace
from datetime import timedelta
from typing import Any, TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from later_core.errors import (
    InstanceEnded,
    InstanceNotEnded,
    InstanceNotFound,
    InstanceRunning,
    LaterError,
    RevisionMismatch,
)
from later_core.model.event import EventType
from later_core.model.instance import Delivery, Instance
from later_core.model.instant import from_millis
from later_core.model.outcome import Ending
from later_core.model.query import Filter
from later_core.model.state import FINAL_STATES, LAWFUL_MOVES, State, is_lawful
from later_core.ports.store import Aborted, Inserted
from later_core.stores.memory import MemoryStore
from later_core.testing.builders import (
    a_node,
    an_instance,
    failed,
    failed_for_now,
    succeeded,
)
from later_core.testing.clock import FakeClock
from later_core.testing.store_contract.steps import outcome_of, put_mark, story_since

T = TypeVar("T")

LEASE = timedelta(seconds=10)

ids = st.sampled_from(["a", "b", "c", "d"])
nodes = st.sampled_from(["node-a", "node-b", "node-c"])
delays = st.integers(min_value=-5_000, max_value=5_000).map(lambda ms: timedelta(milliseconds=ms))


def test_the_table_speaks_of_every_state() -> None:
    assert LAWFUL_MOVES.keys() == set(State)


@pytest.mark.parametrize("state", State)
def test_from_an_ended_state_only_a_retry_leads_on(state: State) -> None:
    assert state.is_final is (state in FINAL_STATES)
    if state.is_final:
        assert LAWFUL_MOVES[state] == {State.PENDING}


def test_only_a_pending_instance_can_begin_to_run() -> None:
    assert [state for state in State if is_lawful(state, State.RUNNING)] == [State.PENDING]


def test_only_a_running_instance_can_succeed_or_fail() -> None:
    for end in (State.SUCCEEDED, State.FAILED):
        assert [state for state in State if is_lawful(state, end)] == [State.RUNNING]


class Life(RuleBasedStateMachine):
    """Random calls against the reference store. ``known`` is what the last look showed."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.clock = FakeClock()
        self.store = MemoryStore(clock=self.clock)
        self.known: dict[str, Instance] = {}
        #: When the lease of each node that has beaten runs out (None once declared dead).
        self.leases: dict[str, int | None] = {}

    def call(self, call: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(call)

    def now_ms(self) -> int:
        return round(self.clock.monotonic() * 1000)

    def teardown(self) -> None:
        try:
            self.call(self._history_replays_to_the_end_state())
        finally:
            self.runner.close()

    # -- what may happen ---------------------------------------------------------------------

    @rule(id=ids, delay=delays, delivery=st.sampled_from(Delivery))
    def create(self, id: str, delay: timedelta, delivery: Delivery) -> None:
        new = an_instance(id, execution_time=self.clock.now() + delay, delivery=delivery)
        [result] = self.call(self.store.insert([new]))
        assert isinstance(result, Inserted)
        assert result.is_new is (id not in self.known)

    @rule(chosen=st.lists(ids, max_size=4), node=nodes)
    def claim(self, chosen: list[str], node: str) -> None:
        now = self.clock.now()
        claimed = self.call(self.store.claim(chosen, node=node, until=now))
        expected = {
            id
            for id in chosen
            if (known := self.known.get(id))
            and known.state is State.PENDING
            and known.execution_time <= now
        }
        assert {instance.id for instance in claimed} == expected
        for instance in claimed:
            assert instance.attempt == self.known[instance.id].attempt + 1
            assert instance.node == node

    @precondition(lambda self: any(i.node for i in self.known.values()))
    @rule(
        data=st.data(),
        kind=st.sampled_from([State.SUCCEEDED, State.FAILED, State.PENDING]),
        node=st.none() | nodes,
        attempts_off=st.sampled_from([0, 0, 0, -1, 1]),
    )
    def finish(self, data: st.DataObject, kind: State, node: str | None, attempts_off: int) -> None:
        claimed = sorted(id for id, instance in self.known.items() if instance.node)
        instance = self.known[data.draw(st.sampled_from(claimed))]
        ending = self._ending(instance, kind, node, attempts_off)
        is_owner = (
            instance.state is State.RUNNING
            and ending.node == instance.node
            and ending.attempt == instance.attempt
        )
        [accepted] = self.call(self.store.finish([ending]))
        if is_owner:
            assert accepted
            assert self.call(self.store.finish([ending])) == [True]
        else:
            # Accepted without effect, or refused: nobody else changes anything.
            assert self.call(self.store.get(instance.id)) == instance

    @rule(id=ids)
    def abort(self, id: str) -> None:
        outcome = self.call(outcome_of(self.store.abort(id)))
        before = self.known.get(id)
        if before is None:
            assert isinstance(outcome, InstanceNotFound)
        elif before.state.is_final:
            assert isinstance(outcome, InstanceEnded)
        else:
            assert isinstance(outcome, Aborted)
            assert outcome.before == before

    @rule(id=ids, delay=delays, revisions_off=st.sampled_from([None, 0, -1, 1]))
    def reschedule(self, id: str, delay: timedelta, revisions_off: int | None) -> None:
        before = self.known.get(id)
        revision = (
            None if revisions_off is None else (before.revision if before else 1) + revisions_off
        )
        outcome = self.call(
            outcome_of(self.store.reschedule(id, self.clock.now() + delay, revision=revision))
        )
        expected: type[Instance | LaterError]
        if before is None:
            expected = InstanceNotFound
        elif before.state is State.RUNNING:
            expected = InstanceRunning
        elif before.state.is_final:
            expected = InstanceEnded
        else:
            expected = RevisionMismatch if revisions_off else Instance
        assert isinstance(outcome, expected)

    @rule(id=ids, delay=delays)
    def retry(self, id: str, delay: timedelta) -> None:
        outcome = self.call(outcome_of(self.store.retry(id, self.clock.now() + delay)))
        before = self.known.get(id)
        if before is None:
            assert isinstance(outcome, InstanceNotFound)
        elif before.state.is_final:
            assert isinstance(outcome, Instance)
            assert (outcome.retry, outcome.counted_attempts) == (before.retry, 0)
        else:
            assert isinstance(outcome, InstanceNotEnded)

    @rule(id=ids, node=st.none() | nodes)
    def started(self, id: str, node: str | None) -> None:
        known = self.known.get(id)
        starts = {(id, known.attempt if known else 1): self.clock.now()}
        owner = (known.node if known else None) or "node-a"
        self.call(self.store.started(starts, node=node or owner))

    @rule(node=nodes)
    def beat(self, node: str) -> None:
        answer = self.call(self.store.beat(a_node(node), lease=LEASE))
        is_dead = node in self.leases and self.leases[node] is None
        assert (answer is None) is is_dead
        if not is_dead:
            self.leases[node] = self.now_ms() + LEASE // timedelta(milliseconds=1)

    @rule(node=nodes)
    def leave(self, node: str) -> None:
        self.call(self.store.leave(node))
        self.leases.pop(node, None)

    @rule(limit=st.integers(min_value=1, max_value=3))
    def recover(self, limit: int) -> None:
        taken = self.call(self.store.recover(limit=limit))
        for node, until in self.leases.items():
            if until is not None and until <= self.now_ms():
                self.leases[node] = None
        orphans = {
            instance.id
            for instance in self.known.values()
            if instance.state is State.RUNNING and self.leases.get(instance.node or "") is None
        }
        assert {instance.id for instance in taken} <= orphans
        assert len(taken) == min(limit, len(orphans))
        for instance in taken:
            is_again = instance.delivery is Delivery.AT_LEAST_ONCE
            assert instance.state is (State.PENDING if is_again else State.FAILED)

    @rule(node=nodes, data=st.data())
    def reclaim(self, node: str, data: st.DataObject) -> None:
        mine = [
            (i.id, i.attempt)
            for i in self.known.values()
            if i.state is State.RUNNING and i.node == node
        ]
        kept = data.draw(st.sets(st.sampled_from(mine))) if mine else set()
        handed_back = self.call(self.store.reclaim(node, kept))
        assert {(i.id, i.attempt) for i in handed_back} == set(mine) - kept

    @rule(seconds=st.sampled_from([0.001, 1.0, 4.0, 11.0]))
    def time_passes(self, seconds: float) -> None:
        self.call(self.clock.advance(seconds))

    # -- what must hold after each of them ---------------------------------------------------

    @invariant()
    def what_is_seen_is_lawful(self) -> None:
        page = self.call(self.store.list(Filter(), after=None, limit=1000))
        seen = {instance.id: instance for instance in page.instances}
        assert self.known.keys() <= seen.keys()
        for id, after in seen.items():
            before = self.known.get(id)
            if before is None:
                assert (after.state, after.revision) == (State.PENDING, 1)
            elif before != after:
                assert_is_one_move(before, after)
            assert_is_whole(after)
        self.known = seen
        self._counts_are_those_of_the_rows()
        self._what_is_pending_is_due_at_its_time()

    def _counts_are_those_of_the_rows(self) -> None:
        counts = self.call(self.store.counts(["echo"]))
        for state in State:
            rows = sum(instance.state is state for instance in self.known.values())
            assert counts.by_state[state] == rows

    def _what_is_pending_is_due_at_its_time(self) -> None:
        due = self.call(
            self.store.due(
                tasks=["echo"], since=None, until=self.clock.now(), after=None, limit=1000
            )
        )
        assert [(from_millis(entry.due_ms), entry.id) for entry in due] == sorted(
            (i.execution_time, i.id)
            for i in self.known.values()
            if i.state is State.PENDING and i.execution_time <= self.clock.now()
        )

    # -- steps -------------------------------------------------------------------------------

    def _ending(
        self, instance: Instance, kind: State, node: str | None, attempts_off: int
    ) -> Ending:
        now = self.clock.now()
        ending = {
            State.SUCCEEDED: succeeded(instance, at=now),
            State.FAILED: failed(instance, at=now),
            State.PENDING: failed_for_now(instance, at=now, next_time=now + timedelta(seconds=1)),
        }[kind]
        return replace(
            ending,
            node=node or ending.node,
            attempt=ending.attempt + attempts_off,
        )

    async def _history_replays_to_the_end_state(self) -> None:
        await put_mark(self.store)
        replayed: defaultdict[str, list[Instance]] = defaultdict(list)
        for event in await story_since(self.store, f"{0:020d}"):
            assert event.instance is not None
            states = replayed[event.instance.id]
            assert (event.type is EventType.CREATED) == (not states)
            if states:
                assert_is_one_move(states[-1], event.instance)
            states.append(event.instance)
        page = await self.store.list(Filter(tasks=frozenset({"echo"})), after=None, limit=1000)
        assert {id: states[-1] for id, states in replayed.items()} == {
            instance.id: instance for instance in page.instances
        }


def assert_is_one_move(before: Instance, after: Instance) -> None:
    """Lawful, one revision on, and what never changes has not changed."""
    assert after.revision == before.revision + 1
    if before.state is State.RUNNING and after.state is State.RUNNING:
        # Not a move: that the code began is noted while it runs.
        assert after == replace(before, revision=after.revision, start_time=after.start_time)
        return
    assert is_lawful(before.state, after.state), (before.state, after.state)
    assert after.attempt - before.attempt == (after.state is State.RUNNING) * (
        before.state is not State.RUNNING
    )
    for field in ("task", "parameters", "delivery", "labels", "fingerprint", "create_time"):
        assert getattr(before, field) == getattr(after, field)


def assert_is_whole(instance: Instance) -> None:
    """What the fields say of each other."""
    assert (instance.finish_time is not None) is instance.state.is_final
    if instance.state in (State.RUNNING, State.SUCCEEDED):
        assert instance.node is not None
        assert instance.attempt >= 1
        assert instance.error is None


Life.TestCase.settings = settings(max_examples=80, stateful_step_count=40)
TestLife = Life.TestCase
