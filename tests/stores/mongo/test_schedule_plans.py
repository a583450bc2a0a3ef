"""What planners ask again and again costs what it answers, however much else is stored."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from pymongo.database import Database

from later_core.model.query import Filter
from later_core.model.recurrence.rules import TimesRule
from later_core.model.schedule import Progress
from later_core.model.state import State
from later_core.stores.mongo import queries
from later_core.stores.mongo.schedules import looked_at, of_schedules
from later_core.stores.mongo.store import MongoStore
from later_core.testing.builders import a_schedule, an_instance
from later_core.testing.store_contract.steps import HOUR, SECOND, insert, moment_of

Raw = Database[dict[str, Any]]

FAR, NEAR = 300, 8


@pytest.fixture
async def start(store: MongoStore) -> datetime:
    """Few schedules that are near and many that are not, or are paused; many instances of others."""
    now = await moment_of(store)
    for number in range(FAR + NEAR):
        is_near = number < NEAR
        progress = Progress(planned_until=now, next_time=now + (SECOND if is_near else HOUR))
        await store.insert_schedule(a_schedule(f"s{number:03d}", now=now, progress=progress))
        paused = a_schedule(f"paused{number:03d}", now=now, progress=progress, is_paused=True)
        await store.insert_schedule(paused)
    await insert(
        store,
        *(an_instance(f"plain{n:03d}", execution_time=now) for n in range(FAR)),
        *(
            an_instance(f"s{n:03d}@1", execution_time=now, schedule_id=f"s{n:03d}")
            for n in range(FAR)
        ),
    )
    return now


def stages(plan: Any) -> Iterator[str]:
    """Every stage anywhere in an explanation's plan."""
    if isinstance(plan, dict):
        if isinstance(plan.get("stage"), str):
            yield plan["stage"]
        for value in plan.values():
            yield from stages(value)
    elif isinstance(plan, list):
        for value in plan:
            yield from stages(value)


@pytest.mark.parametrize("buckets", [None, range(0, 256, 2)])
async def test_a_look_reads_the_near_schedules_alone(
    raw: Raw, start: datetime, buckets: range | None
) -> None:
    command = {
        "find": "schedules",
        "filter": looked_at(until=start + 2 * SECOND, buckets=buckets, after=None),
        "sort": {"look_time": 1, "_id": 1},
        "hint": queries.LOOK_INDEX,
        "limit": 500,
    }
    explained = raw.command("explain", command, verbosity="executionStats")
    stats = explained["executionStats"]
    assert stats["totalDocsExamined"] == stats["nReturned"] <= NEAR
    assert (stats["nReturned"] == NEAR) is (buckets is None)
    assert stats["totalKeysExamined"] <= NEAR + 1
    assert not set(stages(explained["queryPlanner"]["winningPlan"])) & {"SORT", "COLLSCAN"}


async def test_a_place_among_the_near_is_found_by_the_index(raw: Raw, start: datetime) -> None:
    place = (start + SECOND, f"s{NEAR - 2:03d}")
    command = {
        "find": "schedules",
        "filter": looked_at(until=start + 2 * SECOND, buckets=None, after=place),
        "sort": {"look_time": 1, "_id": 1},
        "hint": queries.LOOK_INDEX,
    }
    stats = raw.command("explain", command, verbosity="executionStats")["executionStats"]
    assert stats["nReturned"] == stats["totalDocsExamined"] == 1
    assert stats["totalKeysExamined"] <= 4


@pytest.mark.parametrize(
    "group",
    [
        {"_id": "$schedule_id", "ids": {"$firstN": {"input": "$_id", "n": 10}}},
        {"_id": ["$schedule_id", "$state"], "count": {"$sum": 1}},
        {
            "_id": "$schedule_id",
            "last": {"$top": {"sortBy": {"finish_time": -1}, "output": ["$_id", "$finish_time"]}},
        },
    ],
    ids=["active", "counts", "failures"],
)
async def test_the_instances_of_schedules_are_told_by_the_index_alone(
    raw: Raw, start: datetime, group: dict[str, Any]
) -> None:
    del start  # the instances are there
    command = {
        "aggregate": "instances",
        "pipeline": of_schedules(["s001", "s002"], [State.PENDING, State.RUNNING], group),
        "cursor": {},
        "hint": queries.SCHEDULE_INDEX,
    }
    explained = raw.command("explain", command, verbosity="executionStats")
    first = explained["stages"][0]["$cursor"] if "stages" in explained else explained
    stats = first["executionStats"]
    assert stats["totalDocsExamined"] == 0
    assert stats["totalKeysExamined"] < 12
    used = set(stages(first["queryPlanner"]["winningPlan"]))
    assert not used & {"FETCH", "COLLSCAN"}


async def test_a_list_of_one_schedules_instances_reads_no_others(raw: Raw, start: datetime) -> None:
    filter = Filter(schedule_id="s001", end_time=start + HOUR)
    command = {
        "find": "instances",
        "filter": queries.matching(filter, after=None),
        "sort": queries.IN_ORDER,
        "hint": queries.index_for(filter),
    }
    explained = raw.command("explain", command, verbosity="executionStats")
    stats = explained["executionStats"]
    assert stats["nReturned"] == stats["totalDocsExamined"] == 1
    assert stats["totalKeysExamined"] < 12
    assert not set(stages(explained["queryPlanner"]["winningPlan"])) & {"SORT", "COLLSCAN"}


async def test_instances_of_no_schedule_are_not_in_its_index(raw: Raw, start: datetime) -> None:
    del start
    validated = raw.command("validate", "instances")
    assert validated["keysPerIndex"][queries.SCHEDULE_INDEX] == FAR
    assert validated["keysPerIndex"]["_id_"] == 2 * FAR
    looks = raw.command("validate", "schedules")["keysPerIndex"][queries.LOOK_INDEX]
    assert looks == FAR + NEAR


async def test_an_unreadable_schedule_hides_no_other(
    raw: Raw, store: MongoStore, start: datetime
) -> None:
    raw["schedules"].update_one({"_id": "s000"}, {"$set": {"spec.rules": [{"kind": "lunar"}]}})
    raw["schedules"].update_one({"_id": "s001"}, {"$unset": {"progress.step": ""}})
    near = await store.schedules_due(until=start + 2 * SECOND, buckets=None, after=None, limit=2)
    assert [schedule.id for schedule in near] == ["s002", "s003"]
    assert list(await store.get_schedules(["s000", "s002"])) == [near[0]]


async def test_times_that_are_finer_than_a_millisecond_are_never_early(
    store: MongoStore,
) -> None:
    now = await moment_of(store)
    fine = now + timedelta(microseconds=1)
    schedule = a_schedule(now=now)
    spec = replace(schedule.spec, rules=(TimesRule(times=(fine,)),), start_time=fine)
    stored = await store.insert_schedule(replace(schedule, spec=spec))
    assert stored.spec.start_time == now + timedelta(milliseconds=1)
    assert stored.spec.rules == (TimesRule(times=(now + timedelta(milliseconds=1),)),)
