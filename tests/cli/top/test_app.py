"""The screens before a real server: what is seen, and what the keys do."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from later_core.cli.top.board import KEPT
from later_core.client.client import Client
from later_core.model.instance import NewInstance
from later_core.model.query import Filter
from later_core.model.recurrence.rules import IntervalRule
from later_core.model.schedule import ScheduleSpec
from later_core.model.state import State

SECONDS = 30
FAR = timedelta(hours=3)


def later(id: str, task: str = "echo", delay: timedelta = FAR, **fields: object) -> NewInstance:
    return NewInstance(id=id, task=task, delay=delay, **fields)


async def test_the_overview_shows_what_waits_runs_and_has_failed_as_it_happens(client, top):
    await client.create(later("before"))
    async with top(client) as terminal:
        await terminal.sees("PENDING 1", "before", "in 3 h")
        await client.create(later("coming"))
        await client.create(later("at-work", "hang", timedelta(0)))
        await client.create(later("broke", "broken", timedelta(0)))
        await terminal.sees(
            "coming", "at-work", "RuntimeError: it broke", "PENDING 2", "RUNNING 1", "FAILED 1"
        )
        await terminal.sees("over 2 starts", "█")
        await client.abort("at-work")
        await terminal.until(lambda text: "at-work" not in text, "at-work gone")


async def test_what_failed_before_is_shown_from_the_start(client, top):
    await client.create(later("broke", "broken", timedelta(0)))
    async with top(client) as terminal:
        await terminal.sees("broke", "RuntimeError: it broke")


async def test_of_many_that_failed_before_a_bounded_number_is_shown(client, top):
    await client.create_many([later(f"broke-{n}", "broken", timedelta(0)) for n in range(KEPT + 9)])
    async with asyncio.timeout(SECONDS):
        while (await client.stats()).counts.by_state[State.FAILED] <= KEPT + 8:
            pass
    async with top(client) as terminal:
        await terminal.sees(f"FAILED {KEPT + 9}", "broke-", "RuntimeError: it broke")
        assert len(terminal.app.desk.board.failed) == KEPT


async def test_only_what_meets_the_conditions_is_shown(client, top):
    await client.create(later("wanted"))
    await client.create(later("other", "described", parameters=b'{"a": 1}'))
    async with top(client, Filter(tasks=frozenset({"echo"}))) as terminal:
        await terminal.sees("wanted", "PENDING 2")
        await client.create(later("wanted-too"))
        text = await terminal.sees("wanted-too")
        assert "other" not in text


async def test_the_line_of_the_instances_says_which_are_listed(client, top):
    await client.create(later("first"))
    await client.create(later("second", labels={"team": "blue"}))
    async with top(client) as terminal:
        await terminal.press("2")
        await terminal.sees("first", "second", "2 in all")
        await terminal.press("slash")
        await terminal.type("label.team=blue state=pending")
        text = await terminal.sees("second", "1 in all")
        assert "first" not in text
        await terminal.press("slash")
        await terminal.type(" nonsense")
        await terminal.sees("is not name=value")


async def test_an_instance_is_inspected_aborted_and_retried_by_keys_alone(client, top):
    await client.create(later("mine", parameters=b"some bytes"))
    async with top(client) as terminal:
        await terminal.press("2")
        await terminal.sees("mine")
        await terminal.press("enter")
        await terminal.sees("some bytes", "revision")
        await terminal.press("a")
        await terminal.sees("Abort mine (task echo, PENDING)?")
        await terminal.press("n")
        await terminal.until(lambda text: "Abort mine" not in text, "no question")
        assert (await client.get("mine")).state is State.PENDING
        await terminal.press("a")
        await terminal.sees("Abort mine")
        await terminal.press("y")
        await terminal.sees("mine is aborted", "ABORTED")
        await terminal.press("r")
        await terminal.sees("Run mine (task echo, ABORTED) again, now?")
        await terminal.press("y")
        await terminal.sees("mine is due again", "SUCCEEDED")
        await terminal.press("escape")
        await terminal.sees("1 in all")
        assert terminal.app.desk.board.inspected is None


async def test_an_instance_is_moved_to_the_time_that_is_typed(client, top):
    created = await client.create(later("mine"))
    async with top(client) as terminal:
        await terminal.sees("mine")
        await terminal.focus("due")
        await terminal.press("m")
        await terminal.sees("Move mine (task echo) to which time?")
        await terminal.type("never in life")
        await terminal.sees("is not a time")
        await terminal.press("m")
        await terminal.sees("Move mine")
        await terminal.type("6h")
        await terminal.sees("mine is moved", "in 6 h")
    assert (await client.get("mine")).execution_time > created.execution_time + timedelta(hours=2)


async def test_what_the_server_refuses_is_said(client, top):
    await client.create(later("mine"))
    async with top(client) as terminal:
        await terminal.sees("mine")
        await terminal.focus("due")
        await terminal.press("r")
        await terminal.sees("again, now?")
        await terminal.press("y")
        await terminal.sees("instance 'mine' is PENDING")


async def test_who_may_only_read_is_offered_no_key_that_changes_anything(client, top):
    await client.create(later("mine"))
    async with top(client, read_only=True) as terminal:
        text = await terminal.sees("mine", "read-only")
        assert "Abort" not in text
        await terminal.focus("due")
        await terminal.press("a")
        await terminal.pilot.pause()
        assert "Abort" not in terminal.text
        await terminal.press("3")
        await terminal.sees("RULES")
        assert "Trigger" not in terminal.text


async def test_schedules_are_paused_resumed_and_triggered(client, top):
    spec = ScheduleSpec(
        rules=(IntervalRule(every=timedelta(days=300)),), template=NewInstance(task="echo")
    )
    await client.create_schedule(spec, id="nightly")
    async with top(client) as terminal:
        await terminal.press("3")
        await terminal.sees("nightly", "every 300d")
        await terminal.press("p")
        await terminal.sees("Pause nightly until it is resumed?")
        await terminal.press("y")
        await terminal.sees("nightly is paused", "paused: paused in later top")
        await terminal.press("p")
        await terminal.sees("Let nightly fire again")
        await terminal.press("y")
        await terminal.sees("nightly fires again")
        await terminal.press("t")
        await terminal.sees("Create an instance of nightly that is due now?")
        await terminal.press("y")
        await terminal.sees("nightly has an instance that is due now")
        await terminal.press("enter")
        await terminal.sees("overlap", "1 SUCCEEDED")
        await terminal.press("escape")
        await terminal.sees("RULES")
    assert [each.schedule_id async for each in client.list()] == ["nightly"]


async def test_nodes_and_tasks_have_pages_of_their_own(client, top):
    async with top(client) as terminal:
        await terminal.press("4")
        await terminal.sees("BUCKETS", "256", "alive")
        await terminal.press("5")
        await terminal.sees("described", "Says what it takes.", "1000 in 1s")
        await terminal.press("1")
        await terminal.sees("Due next")


async def test_a_lost_connection_is_shown_and_comes_back_by_itself(serving, top):
    async with serving() as address:
        client = Client(address)
        await client.__aenter__()
        await client.create(later("mine"))
    try:
        async with top(client) as terminal:
            await terminal.sees("NOT CONNECTED", "no Later server at")
            async with serving(address):
                await terminal.until(lambda text: "NOT CONNECTED" not in text, "connected")
                await client.create(later("new"))
                await terminal.sees("mine", "new", "PENDING 2")
    finally:
        await client.__aexit__()


async def test_q_leaves(client, top):
    async with top(client) as terminal:
        await terminal.press("q")
        await terminal.pilot.pause()
    assert terminal.app.return_code == 0
