"""Schedules through the client: values in, values out."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from later_core.client.client import Client
from later_core.client.errors import RpcError
from later_core.model.instance import NewInstance
from later_core.model.planning import instance_id
from later_core.model.recurrence.rules import CronRule, ExcludedDates, IntervalRule
from later_core.model.retry import RetryPolicy
from later_core.model.schedule import (
    Backfill,
    CatchUp,
    Overlap,
    ScheduleFilter,
    ScheduleSpec,
)

#: Fires on one minute of the year, so that nothing happens by itself while a test runs.
RARELY = ScheduleSpec(
    template=NewInstance(
        task="echo",
        parameters=b"\x00\xff",
        retry=RetryPolicy(max_attempts=3),
        timeout=timedelta(seconds=5),
        labels={"team": "blue"},
    ),
    rules=(CronRule(expression="0 4 29 2 *", time_zone="Asia/Tokyo"),),
    exclusions=(ExcludedDates(dates=(date(2028, 2, 28),)),),
    time_zone="Europe/Paris",
    jitter=timedelta(seconds=3),
    overlap=Overlap.BUFFER_ONE,
    catch_up=CatchUp.ALL,
    pause_on_failure=True,
)


async def test_a_created_schedule_is_answered_as_it_is_stored(client: Client):
    created = await client.create_schedule(RARELY, id="mine")
    assert created.spec == RARELY
    found = await client.get_schedule("mine")
    assert found.schedule == created
    assert found.next_times[0] == datetime(2032, 2, 28, 19, tzinfo=UTC)


async def test_a_create_without_an_id_gets_one_and_a_repeated_one_answers_the_stored(
    client: Client,
):
    created = await client.create_schedule(RARELY)
    assert await client.create_schedule(RARELY, id=created.id) == created
    with pytest.raises(RpcError) as caught:
        await client.create_schedule(replace(RARELY, max_runs=1), id=created.id)
    assert caught.value.reason == "SCHEDULE_ALREADY_EXISTS"


async def test_a_wrong_rule_is_named_by_its_path(client: Client):
    wrong = replace(RARELY, rules=(RARELY.rules[0], CronRule(expression="61 * * * *")))
    with pytest.raises(RpcError) as caught:
        await client.create_schedule(wrong)
    assert caught.value.code == "INVALID_ARGUMENT"
    assert [v.field for v in caught.value.violations] == ["spec.rules[1].cron.expression"]


async def test_an_update_with_a_stale_etag_is_aborted(client: Client):
    first = await client.create_schedule(RARELY, id="s")
    often = replace(RARELY, rules=(IntervalRule(every=timedelta(hours=1)),))
    updated = await client.update_schedule("s", often, first.etag)
    assert updated.spec == often
    for call in (
        client.update_schedule("s", RARELY, first.etag),
        client.delete_schedule("s", first.etag),
    ):
        with pytest.raises(RpcError) as caught:
            await call
        assert (caught.value.code, caught.value.reason) == ("ABORTED", "ETAG_MISMATCH")
    assert (await client.delete_schedule("s", updated.etag)).id == "s"
    with pytest.raises(RpcError) as caught:
        await client.get_schedule("s")
    assert caught.value.reason == "SCHEDULE_NOT_FOUND"


async def test_pause_and_resume(client: Client):
    created = await client.create_schedule(RARELY, id="s", paused=True, note="not yet")
    assert (created.is_paused, created.pause_note) == (True, "not yet")
    assert not (await client.get_schedule("s")).next_times
    assert not (await client.resume_schedule("s", "now")).is_paused
    paused = await client.pause_schedule("s", "holiday")
    assert (paused.is_paused, paused.pause_note) == (True, "holiday")


async def test_a_list_is_fetched_page_by_page(client: Client):
    for n in range(5):
        await client.create_schedule(RARELY, id=f"s{n}", paused=n == 3)
    async with aclosing(client.list_schedules(page_size=2)) as found:
        assert [listed.schedule.id async for listed in found] == ["s0", "s1", "s2", "s3", "s4"]
    async with aclosing(client.list_schedules(ScheduleFilter(is_paused=True))) as found:
        assert [listed.schedule.id async for listed in found] == ["s3"]


async def test_a_trigger_makes_an_instance_and_once_for_one_request(client: Client, ended):
    await client.create_schedule(RARELY, id="s")
    first = await client.trigger_schedule("s")
    assert first.id != (await client.trigger_schedule("s")).id
    once = await client.trigger_schedule("s", "mine")
    assert (await client.trigger_schedule("s", "mine")).id == once.id
    assert (await ended(once.id)).result == b"\x00\xff"


async def test_a_long_backfill_takes_several_calls_and_is_answered_as_one(client: Client):
    spec = replace(
        RARELY, exclusions=(), rules=(IntervalRule(every=timedelta(minutes=1)),), jitter=timedelta()
    )
    await client.create_schedule(spec, id="s", paused=True)
    start = datetime(2026, 1, 1, tzinfo=UTC)
    end = start + timedelta(minutes=1001)
    first = await client.backfill_schedule("s", start, end)
    assert first == Backfill(created=1001, existing=0, next_start=None)
    again = await client.backfill_schedule("s", start, end)
    assert again == Backfill(created=0, existing=1001, next_start=None)
    last = instance_id("s", end - timedelta(minutes=1))
    assert (await client.get(last)).task == "echo"


async def test_a_preview_is_of_a_stored_schedule_or_of_one_only_thought_of(client: Client):
    await client.create_schedule(RARELY, id="s", paused=True)
    after = datetime(2026, 1, 1, tzinfo=UTC)
    expected = [datetime(2032, 2, 28, 19, tzinfo=UTC), datetime(2036, 2, 28, 19, tzinfo=UTC)]
    assert await client.preview_schedule("s", after, 2) == expected
    assert await client.preview_schedule(RARELY, after, 2) == expected
