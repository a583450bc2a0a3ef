"""Checks of what planners ask of schedules and of their instances."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime
from typing import Any

from later_core.model.bucket import BUCKETS, bucket_of
from later_core.model.instant import EPOCH
from later_core.model.schedule import Progress, Schedule
from later_core.model.state import State
from later_core.ports.schedules import ACTIVE_MAX, FailedRun, LookKey, ScheduleStep
from later_core.ports.store import Store
from later_core.testing.builders import a_schedule, an_instance, failed, succeeded
from later_core.testing.store_contract.schedules import changed, existing_schedule
from later_core.testing.store_contract.steps import (
    HOUR,
    MILLISECOND,
    SECOND,
    claim,
    existing,
    insert,
    moment_of,
    together,
)


async def all_looks(
    store: Store, *, until: datetime, buckets: Collection[int] | None = None, limit: int = 1000
) -> list[Schedule]:
    """Every schedule to be looked at, walked to the empty answer."""
    found: list[Schedule] = []
    after: LookKey | None = None
    while page := await store.schedules_due(until=until, buckets=buckets, after=after, limit=limit):
        assert len(page) <= limit
        found += page
        last = page[-1]
        assert last.look_time is not None
        after = LookKey(last.look_time, last.id)
    return found


async def stored(store: Store, id: str, now: datetime, **progress: Any) -> Schedule:
    """A schedule with this progress, which begins with the next time in an hour."""
    first = Progress(planned_until=now, next_time=now + HOUR)
    schedule = a_schedule(id, now=now, progress=replace(first, **progress))
    return await store.insert_schedule(schedule)


def next_step(schedule: Schedule, **fields: Any) -> ScheduleStep:
    """From where the schedule stands to a progress with these fields."""
    progress = replace(schedule.progress, step=schedule.progress.step + 1, **fields)
    return ScheduleStep(schedule, progress)


class PlanningContract:
    """Planners meet what is near, move it on one at a time, and are told the truth of the rows."""

    async def test_those_that_are_near_are_met_in_order_of_time(self, store: Store) -> None:
        now = await moment_of(store)
        for n in (2, 0, 1):
            await stored(store, f"s{n}", now, next_time=now + n * SECOND)
        await stored(store, "same", now, next_time=now + SECOND)
        met = await all_looks(store, until=now + SECOND)
        assert [schedule.id for schedule in met] == ["s0", "s1", "same"]
        assert met[0] == await existing_schedule(store, "s0")
        met = await all_looks(store, until=now + 2 * SECOND, limit=1)
        assert [schedule.id for schedule in met] == ["s0", "s1", "same", "s2"]

    async def test_at_exactly_its_time_it_is_met_and_no_earlier(self, store: Store) -> None:
        now = await moment_of(store)
        await stored(store, "one", now, next_time=now + SECOND)
        assert await all_looks(store, until=now + SECOND - MILLISECOND) == []
        assert len(await all_looks(store, until=now + SECOND)) == 1

    async def test_of_all_buckets_each_meets_its_own(self, store: Store) -> None:
        now = await moment_of(store)
        ids = [f"s{n:02d}" for n in range(40)]
        for id in ids:
            await stored(store, id, now, next_time=now)
        even = range(0, BUCKETS, 2)
        met = [s.id for s in await all_looks(store, until=now, buckets=even, limit=7)]
        assert met == [id for id in ids if bucket_of(id) % 2 == 0]
        assert await all_looks(store, until=now, buckets=[]) == []

    async def test_the_paused_and_the_ended_are_not_met(self, store: Store) -> None:
        now = await moment_of(store)
        running = await stored(store, "paused", now, next_time=now)
        assert await store.change_schedule(running, changed(running, is_paused=True))
        await stored(store, "ended", now, next_time=None)
        assert await all_looks(store, until=now + HOUR) == []
        paused = await existing_schedule(store, "paused")
        assert await store.change_schedule(paused, changed(paused, is_paused=False))
        assert len(await all_looks(store, until=now)) == 1

    async def test_what_is_starting_or_waits_is_met_whatever_its_time(self, store: Store) -> None:
        now = await moment_of(store)
        await stored(store, "starting", now, starting=(now,), next_time=None)
        await stored(store, "waiting", now, waiting=(now,))
        assert [s.id for s in await all_looks(store, until=EPOCH)] == ["starting", "waiting"]

    async def test_a_step_is_stored_and_the_next_look_moves_with_it(self, store: Store) -> None:
        now = await moment_of(store)
        before = await stored(store, "one", now, next_time=now)
        step = next_step(before, planned_until=now, next_time=now + HOUR, runs=1, waiting=())
        assert list(await store.advance_schedules([step])) == [True]
        after = await existing_schedule(store, "one")
        assert after == replace(before, progress=step.after)
        assert await all_looks(store, until=now) == []
        assert len(await all_looks(store, until=now + HOUR)) == 1
        last = next_step(after, next_time=None)
        assert list(await store.advance_schedules([last])) == [True]
        assert await all_looks(store, until=now + HOUR) == []

    async def test_a_repeated_step_is_not_taken_twice(self, store: Store) -> None:
        now = await moment_of(store)
        before = await stored(store, "one", now)
        step = next_step(before, runs=1)
        assert list(await store.advance_schedules([step])) == [True]
        assert list(await store.advance_schedules([step])) == [False]
        assert list(await store.advance_schedules([])) == []

    async def test_of_many_planners_one_is_heard_for_each_schedule(self, store: Store) -> None:
        now = await moment_of(store)
        schedules = [await stored(store, f"s{n:02d}", now) for n in range(20)]
        answers = await together(
            *(
                store.advance_schedules([next_step(s, runs=planner) for s in schedules])
                for planner in range(1, 6)
            )
        )
        for place, schedule in enumerate(schedules):
            heard = [answer[place] for answer in answers]
            assert heard.count(True) == 1
            after = await existing_schedule(store, schedule.id)
            assert after.progress.runs == heard.index(True) + 1

    async def test_a_step_from_before_a_change_is_not_taken_nor_a_change_from_before_a_step(
        self, store: Store
    ) -> None:
        now = await moment_of(store)
        read = await stored(store, "one", now)
        paused = changed(read, is_paused=True)
        assert await store.change_schedule(read, paused)
        assert list(await store.advance_schedules([next_step(read, runs=1)])) == [False]
        assert list(await store.advance_schedules([next_step(paused, runs=1)])) == [True]
        assert not await store.change_schedule(paused, changed(paused, is_paused=False))
        assert not await store.delete_schedule(paused)
        assert (await existing_schedule(store, "one")).is_paused

    async def test_a_step_leaves_the_revision_alone(self, store: Store) -> None:
        now = await moment_of(store)
        before = await stored(store, "one", now)
        await store.advance_schedules([next_step(before, runs=1)])
        assert (await existing_schedule(store, "one")).etag == before.etag

    async def test_some_of_many_steps_may_be_refused(self, store: Store) -> None:
        now = await moment_of(store)
        a, b, c = [await stored(store, id, now) for id in "abc"]
        assert await store.delete_schedule(b)
        steps = [next_step(schedule, runs=7) for schedule in (a, b, c)]
        assert list(await store.advance_schedules(steps)) == [True, False, True]

    async def test_instances_are_counted_for_each_schedule(self, store: Store) -> None:
        now = await moment_of(store)
        await _instances_in_every_state(store, now)
        assert await store.schedule_counts(["a", "b", "nobody"]) == {
            "a": {
                State.PENDING: 2,
                State.RUNNING: 1,
                State.SUCCEEDED: 1,
                State.FAILED: 2,
                State.ABORTED: 1,
            },
            "b": {**dict.fromkeys(State, 0), State.PENDING: 1},
            "nobody": dict.fromkeys(State, 0),
        }
        assert await store.schedule_counts([]) == {}

    async def test_those_that_have_not_ended_are_named(self, store: Store) -> None:
        now = await moment_of(store)
        await _instances_in_every_state(store, now)
        active = await store.active_instances(["a", "b", "nobody"])
        assert {id: sorted(ids) for id, ids in active.items()} == {
            "a": ["a@pending", "a@pending-too", "a@running"],
            "b": ["b@pending"],
        }
        assert await store.active_instances([]) == {}

    async def test_of_very_many_only_so_many_are_named(self, store: Store) -> None:
        now = await moment_of(store)
        for start in (0, 1000):
            await insert(
                store,
                *(
                    an_instance(f"a@{n}", execution_time=now, schedule_id="a")
                    for n in range(start, start + 1000)
                ),
            )
        named = (await store.active_instances(["a"]))["a"]
        assert len(named) == len(set(named)) == ACTIVE_MAX

    async def test_the_last_failure_is_told(self, store: Store) -> None:
        now = await moment_of(store)
        await _instances_in_every_state(store, now)
        assert await store.last_failures(["a", "b", "nobody"]) == {
            "a": FailedRun("a@failed", now + 2 * SECOND)
        }
        assert await store.last_failures([]) == {}

    async def test_a_failure_that_is_tried_again_is_none_any_more(self, store: Store) -> None:
        now = await moment_of(store)
        await _instances_in_every_state(store, now)
        await store.retry("a@failed", now)
        assert await store.last_failures(["a"]) == {"a": FailedRun("a@failed-too", now + SECOND)}


async def _instances_in_every_state(store: Store, now: datetime) -> None:
    """Instances of ``a`` in every state, one of ``b``, and one of none."""
    names = ["pending", "pending-too", "running", "succeeded", "failed", "failed-too", "aborted"]
    await insert(
        store,
        *(an_instance(f"a@{name}", execution_time=now, schedule_id="a") for name in names),
        an_instance("b@pending", execution_time=now + HOUR, schedule_id="b"),
        an_instance("plain", execution_time=now),
    )
    running = {
        one.id: one
        for one in await claim(store, "a@running", "a@succeeded", "a@failed", "a@failed-too")
    }
    await store.finish(
        [
            succeeded(running["a@succeeded"], at=now + 3 * SECOND),
            failed(running["a@failed"], at=now + 2 * SECOND),
            failed(running["a@failed-too"], at=now + SECOND),
        ]
    )
    await store.abort("a@aborted")
    assert (await existing(store, "a@failed")).state is State.FAILED
