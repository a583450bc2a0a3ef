"""Checks of what people ask of schedules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta

import pytest

from later_core.model.concurrency import Concurrency
from later_core.model.instance import Delivery, NewInstance
from later_core.model.recurrence.rules import (
    CalendarRule,
    CronRule,
    ExcludedDates,
    IntervalRule,
    TimesRule,
)
from later_core.model.retry import RetryPolicy
from later_core.model.schedule import (
    CatchUp,
    Overlap,
    Progress,
    Schedule,
    ScheduleFilter,
    ScheduleSpec,
)
from later_core.ports.store import Store
from later_core.testing.builders import a_schedule
from later_core.testing.store_contract.steps import HOUR, MILLISECOND, SECOND, moment_of, together


def a_full_spec(now: datetime) -> ScheduleSpec:
    """Everything that a schedule can be asked to be."""
    return ScheduleSpec(
        template=NewInstance(
            task="http-post",
            parameters=bytes(range(256)),
            retry=RetryPolicy(
                max_attempts=7,
                min_backoff=timedelta(milliseconds=1500),
                max_backoff=timedelta(days=2),
                multiplier=1.5,
                jitter=0.25,
            ),
            timeout=timedelta(milliseconds=250),
            start_deadline=timedelta(hours=3),
            concurrency=Concurrency(key="the database", limit=3),
            delivery=Delivery.AT_MOST_ONCE,
            labels={"team": "a", "app.example.com/name": "b=c", "x": ""},
            priority=42,
        ),
        rules=(
            CronRule(expression="0 3 * * *", time_zone="Europe/Paris"),
            CronRule(expression="@hourly"),
            IntervalRule(every=timedelta(seconds=90, milliseconds=1), anchor=now + MILLISECOND),
            CalendarRule(rrule="FREQ=MONTHLY;BYDAY=-1FR", dtstart=now, time_zone="Asia/Tokyo"),
            TimesRule(times=(now + HOUR, now - HOUR)),
        ),
        exclusions=(
            ExcludedDates(dates=(date(2030, 12, 25), date(2031, 1, 1)), time_zone="UTC"),
            TimesRule(times=(now + HOUR,)),
        ),
        time_zone="America/New_York",
        start_time=now - HOUR,
        end_time=now + 1000 * HOUR,
        max_runs=12,
        jitter=timedelta(seconds=30),
        overlap=Overlap.BUFFER_ALL,
        catch_up=CatchUp.ALL,
        catchup_window=timedelta(days=1),
        pause_on_failure=True,
    )


def a_full_schedule(now: datetime) -> Schedule:
    """Every field with a content of its own."""
    progress = Progress(
        planned_until=now,
        next_time=now + HOUR,
        runs=1,
        missed=2,
        skipped=3,
        starting=(now - SECOND,),
        aborting=("full-1.2_3~4@1", "full-1.2_3~4@manual-2"),
        waiting=(now - MILLISECOND, now),
        watched_from=now - HOUR,
        step=4,
    )
    return replace(
        a_schedule("full-1.2_3~4", now=now, spec=a_full_spec(now), progress=progress),
        revision=3,
        is_paused=True,
        pause_note="über Nacht",
        fingerprint=b"\0\1",
    )


async def existing_schedule(store: Store, id: str) -> Schedule:
    """The schedule of this id, which must be there."""
    (schedule,) = await store.get_schedules([id])
    return schedule


async def all_schedules(
    store: Store, filter: ScheduleFilter, *, limit: int
) -> list[Sequence[Schedule]]:
    """Every page of the list, followed key by key."""
    pages: list[Sequence[Schedule]] = []
    after: str | None = None
    while True:
        page, after = await store.list_schedules(filter, after=after, limit=limit)
        pages.append(page)
        if after is None:
            return pages


def changed(schedule: Schedule, **fields: object) -> Schedule:
    """As a person's change leaves it."""
    return replace(schedule, revision=schedule.revision + 1, **fields)  # type: ignore[arg-type] # any field


class SchedulesContract:
    """What is stored is stored exactly; of several changes at once one is heard."""

    async def test_a_schedule_is_stored_exactly_as_it_was_given(self, store: Store) -> None:
        schedule = a_full_schedule(await moment_of(store))
        assert await store.insert_schedule(schedule) == schedule
        assert await existing_schedule(store, schedule.id) == schedule

    async def test_a_schedule_with_nothing_but_a_rule_is_stored_too(self, store: Store) -> None:
        schedule = a_schedule(now=await moment_of(store))
        assert await store.insert_schedule(schedule) == schedule
        assert await existing_schedule(store, schedule.id) == schedule

    async def test_the_first_under_an_id_stays(self, store: Store) -> None:
        now = await moment_of(store)
        first = a_schedule(now=now, pause_note="first")
        await store.insert_schedule(first)
        again = a_schedule(now=now + SECOND, pause_note="again")
        assert await store.insert_schedule(again) == first
        assert await existing_schedule(store, first.id) == first

    async def test_of_many_that_insert_one_id_at_once_one_is_stored(self, store: Store) -> None:
        now = await moment_of(store)
        answers = await together(
            *(store.insert_schedule(a_schedule(now=now, pause_note=f"{n}")) for n in range(8))
        )
        assert all(answer == answers[0] for answer in answers)

    async def test_schedules_are_got_by_id(self, store: Store) -> None:
        now = await moment_of(store)
        b, a = a_schedule("b", now=now), a_schedule("a", now=now)
        await store.insert_schedule(b)
        await store.insert_schedule(a)
        assert list(await store.get_schedules(["b", "nobody", "a", "b"])) == [a, b]
        assert list(await store.get_schedules([])) == []

    async def test_a_change_replaces_everything(self, store: Store) -> None:
        before = a_schedule("full-1.2_3~4", now=await moment_of(store))
        await store.insert_schedule(before)
        after = replace(a_full_schedule(before.create_time), revision=2)
        assert await store.change_schedule(before, after)
        assert await existing_schedule(store, before.id) == after

    async def test_a_change_of_what_has_changed_since_is_not_made(self, store: Store) -> None:
        before = a_schedule(now=await moment_of(store))
        await store.insert_schedule(before)
        first = changed(before, pause_note="first")
        assert await store.change_schedule(before, first)
        assert not await store.change_schedule(before, changed(before, pause_note="second"))
        assert not await store.change_schedule(before, first)
        assert await existing_schedule(store, before.id) == first

    async def test_of_many_changes_at_once_one_is_made(self, store: Store) -> None:
        before = a_schedule(now=await moment_of(store))
        await store.insert_schedule(before)
        changes = [changed(before, pause_note=f"{n}") for n in range(8)]
        made = await together(*(store.change_schedule(before, after) for after in changes))
        assert made.count(True) == 1
        assert await existing_schedule(store, before.id) == changes[made.index(True)]

    async def test_a_schedule_is_deleted_where_it_stands(self, store: Store) -> None:
        before = a_schedule(now=await moment_of(store))
        await store.insert_schedule(before)
        after = changed(before)
        assert await store.change_schedule(before, after)
        assert not await store.delete_schedule(before)
        assert await store.delete_schedule(after)
        assert not await store.delete_schedule(after)
        assert list(await store.get_schedules([before.id])) == []

    async def test_what_was_deleted_is_not_brought_back_by_a_change(self, store: Store) -> None:
        before = a_schedule(now=await moment_of(store))
        await store.insert_schedule(before)
        assert await store.delete_schedule(before)
        assert not await store.change_schedule(before, changed(before))
        assert list(await store.get_schedules([before.id])) == []

    async def test_one_of_the_same_id_made_anew_is_another_one(self, store: Store) -> None:
        now = await moment_of(store)
        old = a_schedule(now=now)
        await store.insert_schedule(old)
        assert await store.delete_schedule(old)
        new = a_schedule(now=now + MILLISECOND)
        await store.insert_schedule(new)
        assert not await store.change_schedule(old, changed(old))
        assert not await store.delete_schedule(old)
        assert await existing_schedule(store, old.id) == new

    @pytest.mark.parametrize("limit", [1, 2, 3, 100])
    async def test_pages_are_in_order_of_id_and_hold_each_once(
        self, store: Store, limit: int
    ) -> None:
        now = await moment_of(store)
        for n in (3, 1, 4, 0, 2):
            await store.insert_schedule(a_schedule(f"s{n}", now=now))
        pages = await all_schedules(store, ScheduleFilter(), limit=limit)
        assert all(len(page) <= limit for page in pages)
        assert [s.id for page in pages for s in page] == [f"s{n}" for n in range(5)]

    async def test_a_list_of_none_is_one_empty_page(self, store: Store) -> None:
        assert list(await all_schedules(store, ScheduleFilter(), limit=10)) == [[]]

    async def test_filters_let_through_what_matches(self, store: Store) -> None:
        now = await moment_of(store)
        for number in range(8):
            labels = {"team": "a" if number & 1 else "b", "x": "1"}
            task = "echo" if number & 2 else "bash"
            spec = ScheduleSpec(
                template=NewInstance(task=task, labels=labels),
                rules=(CronRule(expression="@daily"),),
            )
            paused = bool(number & 4)
            await store.insert_schedule(
                a_schedule(f"s{number}", now=now, spec=spec, is_paused=paused)
            )
        filters = [
            (ScheduleFilter(tasks=frozenset({"echo"})), 4),
            (ScheduleFilter(tasks=frozenset({"echo", "bash"})), 8),
            (ScheduleFilter(labels={"team": "a", "x": "1"}), 4),
            (ScheduleFilter(labels={"team": "a", "x": "2"}), 0),
            (ScheduleFilter(is_paused=True), 4),
            (
                ScheduleFilter(is_paused=False, labels={"team": "b"}, tasks=frozenset({"bash"})),
                1,
            ),
        ]
        for filter, expected in filters:
            pages = await all_schedules(store, filter, limit=3)
            found = [schedule for page in pages for schedule in page]
            assert len(found) == expected
            assert all(filter.matches(schedule) for schedule in found)

    async def test_a_page_with_heavy_parameters_closes_early(self, store: Store) -> None:
        now = await moment_of(store)
        heavy = ScheduleSpec(
            template=NewInstance(task="echo", parameters=b"x" * 1_000_000),
            rules=(CronRule(expression="@daily"),),
        )
        for number in range(6):
            await store.insert_schedule(a_schedule(f"s{number}", now=now, spec=heavy))
        pages = await all_schedules(store, ScheduleFilter(), limit=100)
        assert [len(page) for page in pages] == [3, 3]
