"""Schedules on whole nodes: they fire on time, on whichever node, and people's changes are heard."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest

from later_core.errors import (
    EtagMismatch,
    InvalidRequest,
    ScheduleAlreadyExists,
    ScheduleNotFound,
    TaskNotFound,
)
from later_core.model.instance import Instance, NewInstance
from later_core.model.query import Filter
from later_core.model.recurrence.rules import CronRule, IntervalRule, TimesRule
from later_core.model.retry import RetryPolicy
from later_core.model.schedule import Overlap, ScheduleFilter, ScheduleSpec
from later_core.model.state import State
from later_core.testing.tasks import RecordingTask

SECOND = timedelta(seconds=1)
EVERY_TEN = ScheduleSpec(
    template=NewInstance(task="record"), rules=(IntervalRule(every=10 * SECOND),)
)


async def instances_of(node, id: str = "s") -> list[Instance]:
    page = await node.store.list(Filter(schedule_id=id), after=None, limit=1000)
    return list(page.instances)


def lateness(instance: Instance) -> timedelta:
    assert instance.start_time is not None
    return instance.start_time - instance.execution_time


@pytest.mark.parametrize("overlap", Overlap)
async def test_it_fires_to_the_millisecond(running, overlap):
    task = RecordingTask()
    async with running(task) as node:
        start = node.clock.now()
        await node.parts.schedules.create(replace(EVERY_TEN, overlap=overlap), id="s")
        await node.clock.advance(35)
        ran = await instances_of(node)
        assert [i.execution_time for i in ran] == [start + n * 10 * SECOND for n in (1, 2, 3)]
        assert {i.state for i in ran} == {State.SUCCEEDED}
        assert max(map(lateness, ran)) < timedelta(milliseconds=2)
        assert min(map(lateness, ran)) >= timedelta(0)
        listed = await node.parts.schedules.get("s")
        assert listed.counts[State.SUCCEEDED] == 3
        assert listed.schedule.progress.runs == 3
        assert listed.next_times == tuple(start + n * 10 * SECOND for n in range(4, 9))


async def test_what_is_created_an_instant_before_its_time_is_on_time(running):
    task = RecordingTask()
    async with running(task) as node:
        await node.clock.advance(9.95)
        await node.parts.schedules.create(EVERY_TEN, id="s")
        await node.clock.advance(0.1)
        (instance,) = await instances_of(node)
        assert lateness(instance) < timedelta(milliseconds=2)


async def test_instances_are_as_the_template_says(running):
    task = RecordingTask()
    template = NewInstance(
        task="record",
        parameters=b"7",
        retry=RetryPolicy(max_attempts=3),
        timeout=5 * SECOND,
        start_deadline=60 * SECOND,
        labels={"team": "a"},
    )
    async with running(task) as node:
        await node.parts.schedules.create(replace(EVERY_TEN, template=template), id="s")
        await node.clock.advance(10.5)
        (instance,) = await instances_of(node)
        assert instance.id == "s@20300101T000010Z"
        assert instance.schedule_id == "s"
        assert instance.result == b"7"
        assert (instance.retry, instance.timeout) == (template.retry, template.timeout)
        assert (instance.start_deadline, dict(instance.labels)) == (60 * SECOND, {"team": "a"})


async def test_what_waits_starts_in_the_moment_in_which_the_earlier_ends(running):
    async def body(_):
        await node.clock.sleep(25)

    async with running(RecordingTask(body)) as node:
        start = node.clock.now()
        spec = replace(EVERY_TEN, overlap=Overlap.BUFFER_ONE, end_time=start + 40 * SECOND)
        await node.parts.schedules.create(spec, id="s")
        await node.clock.advance(80)
        ran = await instances_of(node)
        began = [i.start_time - start for i in ran if i.start_time]
        # Due at 10, 20 and 30; the first ends at 35, and at 30 one waits already.
        assert [round(b.total_seconds(), 1) for b in began] == [10.0, 35.0]
        assert (await node.parts.schedules.get("s")).schedule.progress.skipped == 1


async def test_abort_running_cancels_the_run_and_calls_back(running):
    cancelled = []

    async def body(context):
        try:
            await node.clock.sleep(1000)
        finally:
            cancelled.append(context.instance.id)

    task = RecordingTask(body)
    async with running(task) as node:
        await node.parts.schedules.create(replace(EVERY_TEN, overlap=Overlap.ABORT_RUNNING), id="s")
        await node.clock.advance(25)
        assert cancelled == ["s@20300101T000010Z"] == task.called("on_abort")
        assert task.called("run") == ["s@20300101T000010Z", "s@20300101T000020Z"]
        # The run that is left.
        await node.parts.instances.abort("s@20300101T000020Z")
        await node.clock.advance(1)


async def test_a_failure_pauses_at_once_and_a_resume_goes_on(running):
    async def body(_):
        if len(task.called("run")) == 2:
            raise RuntimeError("no disk")

    task = RecordingTask(body)
    async with running(task) as node:
        schedules = node.parts.schedules
        await schedules.create(replace(EVERY_TEN, pause_on_failure=True), id="s")
        await node.clock.advance(20.5)
        listed = await schedules.get("s")
        assert listed.schedule.is_paused
        assert "s@20300101T000020Z" in listed.schedule.pause_note
        assert listed.next_times == ()
        await node.clock.advance(30)
        await schedules.resume("s", note="disk mended")
        await node.clock.advance(10)
        assert len(task.called("run")) == 3
        assert (await schedules.get("s")).schedule.pause_note == "disk mended"


async def test_what_was_paused_over_is_not_made_up_for(running):
    task = RecordingTask()
    async with running(task) as node:
        schedules = node.parts.schedules
        await schedules.create(EVERY_TEN, id="s")
        await node.clock.advance(15)
        paused = await schedules.pause("s", note="holidays")
        assert (paused.is_paused, paused.pause_note, paused.revision) == (True, "holidays", 2)
        assert await schedules.pause("s", note="holidays") == paused
        await node.clock.advance(60)
        assert len(task.called("run")) == 1
        await schedules.resume("s", note="")
        await node.clock.advance(10)
        assert len(task.called("run")) == 2
        assert (await schedules.get("s")).schedule.progress.missed == 0


async def test_a_schedule_may_begin_paused(running):
    task = RecordingTask()
    async with running(task) as node:
        await node.parts.schedules.create(EVERY_TEN, id="s", is_paused=True, pause_note="not yet")
        await node.clock.advance(15)
        assert task.called("run") == []


async def test_the_same_create_again_answers_what_is_stored(running):
    async with running(RecordingTask()) as node:
        schedules = node.parts.schedules
        first = await schedules.create(EVERY_TEN, id="s")
        await node.clock.advance(15)
        again = await schedules.create(EVERY_TEN, id="s")
        assert (again.create_time, again.progress.runs) == (first.create_time, 1)
        with pytest.raises(ScheduleAlreadyExists):
            await schedules.create(replace(EVERY_TEN, max_runs=3), id="s")
        other = NewInstance(task="record", parameters=b"other")
        with pytest.raises(ScheduleAlreadyExists):
            await schedules.create(replace(EVERY_TEN, template=other), id="s")
        labelled = replace(EVERY_TEN, template=NewInstance(task="record", labels={}))
        assert await schedules.create(labelled, id="s") == again


async def test_without_an_id_it_gets_one(running):
    async with running(RecordingTask()) as node:
        a = await node.parts.schedules.create(EVERY_TEN, id=None)
        b = await node.parts.schedules.create(EVERY_TEN, id=None)
        assert a.id != b.id


async def test_wrong_requests_are_told_what_is_wrong(running):
    async with running(RecordingTask()) as node:
        schedules = node.parts.schedules
        unknown = replace(EVERY_TEN, template=NewInstance(task="recrod"))
        with pytest.raises(TaskNotFound, match="record"):
            await schedules.create(unknown, id="s")
        wrong = replace(EVERY_TEN, rules=(CronRule(expression="61 * * * *"),))
        with pytest.raises(InvalidRequest) as caught:
            await schedules.create(wrong, id="s")
        assert caught.value.violations[0].field == "rules[0].cron.expression"
        for call in (
            schedules.get("nobody"),
            schedules.update("nobody", EVERY_TEN, etag=None),
            schedules.pause("nobody", note=""),
            schedules.resume("nobody", note=""),
            schedules.delete("nobody", etag=None),
            schedules.trigger("nobody", request_id=None),
            schedules.preview("nobody", after=None, count=1),
        ):
            with pytest.raises(ScheduleNotFound):
                await call


async def test_an_update_replaces_the_rules_from_now_on(running):
    task = RecordingTask()
    async with running(task) as node:
        schedules = node.parts.schedules
        created = await schedules.create(EVERY_TEN, id="s")
        await node.clock.advance(15)
        every_three = replace(EVERY_TEN, rules=(IntervalRule(every=3 * SECOND),))
        updated = await schedules.update("s", every_three, etag=created.etag)
        assert updated.revision == 2
        await node.clock.advance(10)
        assert len(task.called("run")) == 1 + 3
        with pytest.raises(EtagMismatch):
            await schedules.update("s", EVERY_TEN, etag=created.etag)
        with pytest.raises(EtagMismatch):
            await schedules.delete("s", etag=created.etag)


@pytest.mark.parametrize("lead", [0.0, 0.5, 1.5, 2.5])
async def test_an_update_just_before_a_firing_neither_doubles_nor_skips_it(running, lead):
    task = RecordingTask()
    free = replace(EVERY_TEN, overlap=Overlap.ALLOW)
    async with running(task) as node:
        await node.parts.schedules.create(free, id="s")
        await node.clock.advance(20 - lead)
        await node.parts.schedules.update("s", replace(free, max_runs=3), etag=None)
        await node.clock.advance(40)
        assert len(task.called("run")) == len(set(task.called("run"))) == 3
        assert (await node.parts.schedules.get("s")).schedule.progress.runs == 3


async def test_a_deleted_schedule_fires_no_more_and_what_runs_goes_on(running):
    async def body(_):
        await node.clock.sleep(5)

    task = RecordingTask(body)
    async with running(task) as node:
        schedules = node.parts.schedules
        spec = replace(EVERY_TEN, jitter=5 * SECOND, overlap=Overlap.ALLOW)
        await schedules.create(spec, id="s")
        await node.clock.advance(18.9)
        deleted = await schedules.delete("s", etag=None)
        assert deleted.id == "s"
        await node.clock.advance(60)
        states = {i.id: i.state for i in await instances_of(node)}
        assert states == {
            "s@20300101T000010Z": State.SUCCEEDED,
            "s@20300101T000020Z": State.ABORTED,
        }
        with pytest.raises(ScheduleNotFound):
            await schedules.get("s")


async def test_an_id_may_be_used_again(running):
    task = RecordingTask()
    async with running(task) as node:
        schedules = node.parts.schedules
        await schedules.create(EVERY_TEN, id="s")
        await node.clock.advance(15)
        await schedules.delete("s", etag=None)
        again = await schedules.create(replace(EVERY_TEN, max_runs=1), id="s")
        assert again.progress.runs == 0
        await node.clock.advance(30)
        assert len(task.called("run")) == 2


async def test_a_trigger_runs_now_also_while_paused_and_once_for_each_request(running):
    task = RecordingTask()
    async with running(task) as node:
        schedules = node.parts.schedules
        await schedules.create(EVERY_TEN, id="s", is_paused=True)
        await node.clock.advance(3)
        first = await schedules.trigger("s", request_id="r1")
        await node.clock.advance(1)
        assert first.id == "s@manual-r1"
        assert task.called("run") == ["s@manual-r1"]
        again = await schedules.trigger("s", request_id="r1")
        assert (again.id, again.state) == (first.id, State.SUCCEEDED)
        other = await schedules.trigger("s", request_id=None)
        await node.clock.advance(1)
        assert task.called("run") == ["s@manual-r1", other.id]
        with pytest.raises(InvalidRequest):
            await schedules.trigger("s", request_id="r" * 128)


async def test_a_backfill_makes_up_for_a_past_range_once(running):
    task = RecordingTask()
    async with running(task) as node:
        schedules = node.parts.schedules
        start = node.clock.now()
        template = NewInstance(task="record", start_deadline=SECOND)
        await schedules.create(replace(EVERY_TEN, template=template), id="s", is_paused=True)
        await node.clock.advance(100)
        first = await schedules.backfill("s", start=start, end=node.clock.now(), limit=6)
        assert (first.created, first.existing) == (6, 0)
        assert first.next_start == start + 60 * SECOND
        rest = await schedules.backfill(
            "s", start=start + 50 * SECOND, end=node.clock.now(), limit=6
        )
        assert (rest.created, rest.existing, rest.next_start) == (4, 1, None)
        await node.clock.advance(1)
        ran = await instances_of(node)
        assert len(ran) == 10
        assert {i.state for i in ran} == {State.SUCCEEDED}
        later = node.clock.now() + SECOND
        with pytest.raises(InvalidRequest):
            await schedules.backfill("s", start=start, end=later, limit=6)


async def test_preview_shows_what_will_fire(running):
    task = RecordingTask()
    async with running(task) as node:
        schedules = node.parts.schedules
        await schedules.create(replace(EVERY_TEN, max_runs=3), id="s")
        shown = await schedules.preview("s", after=None, count=10)
        assert schedules.preview_spec(EVERY_TEN, after=None, count=3) == shown
        await node.clock.advance(60)
        assert [i.execution_time for i in await instances_of(node)] == shown
        assert await schedules.preview("s", after=None, count=10) == []


async def test_a_list_shows_counts_and_next_times(running):
    async with running(RecordingTask()) as node:
        schedules = node.parts.schedules
        for number in range(3):
            await schedules.create(EVERY_TEN, id=f"s{number}", is_paused=number == 1)
        await node.clock.advance(15)
        page = await schedules.list(ScheduleFilter(), after=None, limit=2)
        assert [s.schedule.id for s in page.schedules] == ["s0", "s1"]
        assert [s.counts[State.SUCCEEDED] for s in page.schedules] == [1, 0]
        assert [len(s.next_times) for s in page.schedules] == [5, 0]
        page = await schedules.list(ScheduleFilter(), after=page.next, limit=2)
        assert ([s.schedule.id for s in page.schedules], page.next) == (["s2"], None)


async def test_a_schedule_made_on_one_node_fires_on_time_whoever_plans_it(running):
    tasks = [RecordingTask(), RecordingTask()]
    async with running(tasks[0]) as a:
        # So that they do not look at the same moments.
        await a.clock.advance(0.5)
        async with running(tasks[1], store=a.store, clock=a.clock):
            await a.clock.advance(3)
            for number in range(40):
                soon = TimesRule(times=(a.clock.now() + 0.2 * SECOND,))
                spec = replace(EVERY_TEN, rules=(soon,))
                await a.parts.schedules.create(spec, id=f"s{number}")
                await a.clock.advance(1.07)
            for number in range(40):
                (instance,) = await instances_of(a, f"s{number}")
                assert lateness(instance) < timedelta(milliseconds=5)


async def test_a_node_that_has_drained_plans_nothing_more(running):
    async with running(RecordingTask()) as node:
        await node.parts.schedules.create(EVERY_TEN, id="s")
        await node.clock.advance(5)
        await node.parts.drain(timedelta())
        await node.clock.advance(60)
        assert await instances_of(node) == []


async def test_two_nodes_plan_each_its_share_and_each_time_once(running):
    tasks = [RecordingTask(), RecordingTask()]
    async with running(tasks[0]) as a, running(tasks[1], store=a.store, clock=a.clock):
        await a.clock.advance(3)
        ids = [f"s{n}" for n in range(20)]
        for number, id in enumerate(ids):
            overlap = list(Overlap)[number % len(Overlap)]
            await a.parts.schedules.create(replace(EVERY_TEN, overlap=overlap), id=id)
        await a.clock.advance(62)
        ran = [run for task in tasks for run in task.called("run")]
        assert len(ran) == len(set(ran)) == 6 * len(ids)
        assert min(len(task.called("run")) for task in tasks) > 10
        for id in ids:
            assert max(map(lateness, await instances_of(a, id))) < timedelta(milliseconds=5)


async def test_what_waits_starts_although_the_run_before_it_ended_elsewhere(running):
    """The ring of the bell is heard on the node that ran it; the planner may be another."""
    tasks = [RecordingTask(), RecordingTask()]

    async def body(context):
        await a.clock.sleep(12)

    for task in tasks:
        task._body = body
    async with running(tasks[0]) as a, running(tasks[1], store=a.store, clock=a.clock):
        await a.clock.advance(3)
        ids = [f"s{n}" for n in range(10)]
        for id in ids:
            spec = replace(EVERY_TEN, overlap=Overlap.BUFFER_ALL, max_runs=3)
            await a.parts.schedules.create(spec, id=id)
        await a.clock.advance(60)
        for id in ids:
            ran = await instances_of(a, id)
            assert [i.state for i in ran] == [State.SUCCEEDED] * 3
            began = [i.start_time for i in ran if i.start_time]
            gaps = [after - before for before, after in pairwise(began)]
            assert all(12 * SECOND <= gap < 12.1 * SECOND for gap in gaps)


async def test_a_node_that_drains_plans_nothing_and_the_other_misses_nothing(running):
    tasks = [RecordingTask(), RecordingTask()]
    async with running(tasks[0]) as a, running(tasks[1], store=a.store, clock=a.clock) as b:
        await a.clock.advance(3)
        every_second = replace(EVERY_TEN, rules=(IntervalRule(every=SECOND),))
        ids = [f"s{n}" for n in range(10)]
        for id in ids:
            await a.parts.schedules.create(every_second, id=id)
        await a.clock.advance(5)
        await a.store.ask_to_drain((await _node_ids(a))[0])
        await a.clock.advance(10)
        for id in ids:
            ran = await instances_of(b, id)
            times = [i.execution_time for i in ran]
            assert times == [times[0] + n * SECOND for n in range(len(times))]
            assert len(times) >= 14
            assert max(lateness(i) for i in ran if i.start_time) < timedelta(milliseconds=50)


async def _node_ids(node) -> list[str]:
    return [status.node.id for status in await node.store.nodes()]
