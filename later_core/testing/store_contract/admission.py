"""Checks of slots: taken while fewer than the limit are held, and freed by nobody but those who may."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

from later_core.model.concurrency import Concurrency, Gated, Slot
from later_core.model.instant import to_millis
from later_core.model.outcome import Ending
from later_core.model.rate import RateLimit
from later_core.model.state import State
from later_core.ports.store import Store
from later_core.testing.builders import a_node, an_instance
from later_core.testing.store_contract.steps import (
    HOUR,
    MILLISECOND,
    NODE,
    OTHER_NODE,
    SECOND,
    Advance,
    claim,
    existing,
    insert,
    moment_of,
    together,
)

TWO = Concurrency(key="database", limit=2)


def a_slot(serial: int, *, node: str = NODE, key: str = "database", limit: int = 2) -> Slot:
    """A slot of the key ``database``."""
    return Slot(key=key, id=f"i-{serial}", node=node, serial=serial, limit=limit)


async def held(store: Store, key: str = "database") -> list[tuple[str, int]]:
    """The node and serial of each slot of the key, in order."""
    return [(slot.node, slot.serial) for slot in await store.slots(key)]


class AdmissionContract:
    """No more slots of a key are held than its limit, and none is lost for ever."""

    async def test_a_claim_leaves_alone_what_needs_a_slot(self, store: Store) -> None:
        now = await moment_of(store)
        free = an_instance("free", execution_time=now)
        gated = an_instance(
            "gated", execution_time=now, concurrency=TWO, start_deadline=timedelta(minutes=1)
        )
        await insert(store, free, gated)
        claimed = await store.claim(["free", "gated"], node=NODE, until=now)
        assert [instance.id for instance in claimed] == ["free"]
        assert await existing(store, "gated") == gated
        assert list(await store.gated(["free", "gated", "nobody"], until=now)) == [
            Gated(
                id="gated",
                task="echo",
                due_ms=to_millis(now),
                concurrency=TWO,
                start_deadline=timedelta(minutes=1),
            )
        ]

    async def test_what_is_admitted_is_claimed(self, store: Store) -> None:
        now = await moment_of(store)
        await insert(store, an_instance("gated", execution_time=now, concurrency=TWO))
        [running] = await store.claim(["gated"], node=NODE, until=now, is_admitted=True)
        assert (running.state, running.node, running.concurrency) == (State.RUNNING, NODE, TWO)
        assert list(await store.gated(["gated"], until=now)) == []

    async def test_what_is_not_due_is_not_told_of(self, store: Store) -> None:
        now = await moment_of(store)
        await insert(store, an_instance(execution_time=now + MILLISECOND, concurrency=TWO))
        assert list(await store.gated(["one"], until=now)) == []

    async def test_another_attempt_needs_a_slot_too(self, store: Store) -> None:
        now = await moment_of(store)
        await insert(store, an_instance(execution_time=now, concurrency=TWO))
        [running] = await store.claim(["one"], node=NODE, until=now, is_admitted=True)
        ending = Ending(
            id="one",
            node=NODE,
            attempt=running.attempt,
            state=State.PENDING,
            start_time=now,
            end_time=now,
            execution_time=now,
        )
        assert await store.finish([ending]) == [True]
        assert list(await store.claim(["one"], node=NODE, until=now)) == []
        assert [gated.id for gated in await store.gated(["one"], until=now)] == ["one"]

    async def test_slots_are_taken_in_order_up_to_the_limit(self, store: Store) -> None:
        wanted = [a_slot(n) for n in (1, 2, 3)]
        assert await store.take_slots(wanted) == [True, True, False]
        assert await held(store) == [(NODE, 1), (NODE, 2)]
        assert [slot.id for slot in await store.slots("database")] == ["i-1", "i-2"]
        assert await store.take_slots([]) == []

    async def test_keys_know_nothing_of_each_other(self, store: Store) -> None:
        wanted = [a_slot(n, key=f"key {n}", limit=1) for n in range(50)]
        assert await store.take_slots(wanted) == [True] * 50
        assert await held(store, "key 7") == [(NODE, 7)]
        assert await held(store, "$another.key") == []

    async def test_each_is_admitted_by_its_own_limit(self, store: Store) -> None:
        assert await store.take_slots([a_slot(1, limit=1)]) == [True]
        assert await store.take_slots([a_slot(2, limit=1)]) == [False]
        assert await store.take_slots([a_slot(3, limit=3), a_slot(4, limit=2)]) == [True, False]

    async def test_a_slot_that_is_held_stays_so(self, store: Store) -> None:
        await store.take_slots([a_slot(1), a_slot(2)])
        assert await store.take_slots([a_slot(2), a_slot(3), a_slot(1)]) == [True, False, True]
        assert await held(store) == [(NODE, 1), (NODE, 2)]

    async def test_of_many_at_once_only_so_many_are_held(self, store: Store) -> None:
        nodes = [f"node-{n}" for n in range(8)]
        answers = await together(
            *(store.take_slots([a_slot(k, node=node, limit=3) for k in range(3)]) for node in nodes)
        )
        taken = [
            (node, k)
            for node, answer in zip(nodes, answers, strict=True)
            for k in range(3)
            if answer[k]
        ]
        # Two that make the key at once may both go without; whoever asks again gets what is left.
        again = await store.take_slots([a_slot(k, node="late", limit=3) for k in range(3)])
        taken += [("late", k) for k in range(3) if again[k]]
        assert len(taken) == 3
        assert sorted(await held(store)) == sorted(taken)

    async def test_what_is_given_back_is_free(self, store: Store) -> None:
        await store.take_slots([a_slot(1), a_slot(2)])
        for _ in range(2):
            await store.give_back_slots([a_slot(1), a_slot(9)])
            assert await held(store) == [(NODE, 2)]
        assert await store.take_slots([a_slot(3), a_slot(4)]) == [True, False]
        await store.give_back_slots([a_slot(2), a_slot(3)])
        assert await held(store) == []
        assert await store.take_slots([a_slot(5)]) == [True]
        await store.give_back_slots([])

    async def test_only_the_very_slot_is_given_back(self, store: Store) -> None:
        await store.take_slots([a_slot(1), a_slot(2, node=OTHER_NODE)])
        # The same serial of another node, and another serial of the same instance, are other slots.
        await store.give_back_slots(
            [
                a_slot(1, node=OTHER_NODE),
                Slot(key="database", id="i-1", node=NODE, serial=3, limit=2),
            ]
        )
        assert await held(store) == [(NODE, 1), (OTHER_NODE, 2)]

    async def test_a_sweep_frees_what_its_node_has_lost(self, store: Store) -> None:
        await store.take_slots([a_slot(n, limit=9) for n in (1, 2, 3, 4)])
        await store.take_slots([a_slot(1, node=OTHER_NODE, limit=9)])
        await store.take_slots([a_slot(5, key="other")])
        await store.sweep_slots(NODE, up_to=3, keep=[2])
        # What was taken after the sweep was begun has a larger serial.
        assert await held(store) == [(NODE, 2), (NODE, 4), (OTHER_NODE, 1)]
        assert await held(store, "other") == [(NODE, 5)]
        await store.sweep_slots(NODE, up_to=9, keep=[])
        assert await held(store) == [(OTHER_NODE, 1)]
        assert await held(store, "other") == []

    async def test_slots_of_the_living_are_not_freed(self, store: Store) -> None:
        await store.beat(a_node(NODE), lease=HOUR)
        await store.take_slots([a_slot(1)])
        await store.recover(limit=10)
        await store.free_slots()
        assert await held(store) == [(NODE, 1)]

    async def test_slots_of_a_node_are_not_freed_before_its_lease_has_run_out(
        self, store: Store, advance: Advance
    ) -> None:
        await store.beat(a_node(NODE), lease=SECOND / 2)
        await store.beat(a_node(OTHER_NODE), lease=HOUR)
        await store.take_slots([a_slot(1), a_slot(2, node=OTHER_NODE)])
        await store.free_slots()
        assert await held(store) == [(NODE, 1), (OTHER_NODE, 2)]
        await advance(0.6)
        await store.recover(limit=10)
        await store.free_slots()
        assert await held(store) == [(OTHER_NODE, 2)]

    async def test_slots_of_a_node_that_has_left_are_freed(self, store: Store) -> None:
        await store.beat(a_node(NODE), lease=HOUR)
        await store.take_slots([a_slot(1), a_slot(2, node="never seen")])
        await store.leave(NODE)
        await store.free_slots()
        assert await held(store) == []

    async def test_a_claim_leaves_alone_tasks_that_it_is_told_of(self, store: Store) -> None:
        now = await moment_of(store)
        limited = an_instance("limited", execution_time=now, task="mail")
        await insert(store, an_instance("free", execution_time=now), limited)
        claimed = await store.claim(["free", "limited"], node=NODE, until=now, but_tasks=["mail"])
        assert [instance.id for instance in claimed] == ["free"]
        assert list(await store.gated(["limited"], until=now)) == []
        assert list(await store.gated(["free", "limited"], until=now, tasks=["mail"])) == [
            Gated(id="limited", task="mail", due_ms=to_millis(now), concurrency=None)
        ]
        [running] = await claim(store, "limited")
        assert running.task == "mail"

    async def test_permits_are_evenly_spread_and_each_is_given_once(self, store: Store) -> None:
        rate = RateLimit(count=1000)
        before_us = to_millis(await store.now()) * 1000
        answers = await together(
            *(store.reserve_permits("mail", rate, count=7, ahead=HOUR) for _ in range(8))
        )
        after_us = (to_millis(await store.now()) + 1) * 1000
        times = sorted(a.first_us + n * 1000 for a in answers for n in range(a.count))
        assert len(times) == 56
        assert all(later - sooner >= 1000 for sooner, later in pairwise(times))
        assert before_us <= times[0] <= after_us
        assert times[-1] <= after_us + 56 * 1000
        assert max(a.next_us for a in answers) == times[-1] + 1000

    async def test_no_permit_is_for_later_than_asked(self, store: Store) -> None:
        rate = RateLimit(count=10)
        first = await store.reserve_permits("mail", rate, count=99, ahead=SECOND)
        assert first.count == 11
        none = await store.reserve_permits("mail", rate, count=99, ahead=timedelta())
        assert (none.count, none.next_us) == (0, first.next_us)
        other = await store.reserve_permits("other", rate, count=1, ahead=timedelta())
        assert other.count == 1

    async def test_after_a_pause_a_burst_is_free_at_once(self, store: Store) -> None:
        rate = RateLimit(count=1, per=HOUR, burst=5)
        burst = await store.reserve_permits("mail", rate, count=99, ahead=timedelta())
        assert burst.count == 5
        assert (await store.reserve_permits("mail", rate, count=1, ahead=timedelta())).count == 0

    async def test_what_has_no_limit_is_claimed_as_ever(self, store: Store) -> None:
        now = await moment_of(store)
        await insert(store, an_instance(execution_time=now))
        [running] = await claim(store, "one")
        assert running.concurrency is None
