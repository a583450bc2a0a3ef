"""What the previous release wrote is read, run, retried and taken over by this one."""

from __future__ import annotations

import contextlib
from datetime import timedelta
from typing import TYPE_CHECKING

import grpc
import pytest

from later_core.ports.clock import SystemClock
from later_core.stores.mongo.store import MongoStore
from tests.upgrade.record import REACHED, REQUESTS, SCHEDULES, Record

if TYPE_CHECKING:
    from tests.upgrade.conftest import Upgraded

UNDER_WAY = {"runs", "runs-at-most-once", "waits-for-another-attempt"}
UNTOUCHED = sorted(REACHED.keys() - UNDER_WAY)
COLLECTIONS = ("instances", "schedules", "nodes")


def holds(old: object, new: object) -> bool:
    """Whether the new one says all that the old one said; it may say more."""
    if isinstance(old, dict) and isinstance(new, dict):
        return all(key in new and holds(value, new[key]) for key, value in old.items())
    if isinstance(old, list) and isinstance(new, list):
        return len(old) == len(new) and all(map(holds, old, new))
    return old == new


def answered(recorded: Record) -> dict[str, Record]:
    return {one["id"]: one for one in recorded["answers"]["instances"]}


def test_the_recording_has_every_state(recorded: Record) -> None:
    assert {id: one["state"] for id, one in answered(recorded).items()} == REACHED
    assert set(REACHED.values()) == {
        f"STATE_{state}" for state in ("PENDING", "RUNNING", "SUCCEEDED", "FAILED", "ABORTED")
    }


def test_the_recording_lacks_what_came_later(recorded: Record) -> None:
    documents = recorded["collections"]["instances"]["documents"]
    assert not {"attempts", "priority", "trace_parent"} & {key for one in documents for key in one}
    assert not any("jitter" in one.get("retry", ()) for one in documents)


@pytest.mark.parametrize("id", UNTOUCHED)
def test_what_was_not_under_way_is_as_it_was(upgraded: Upgraded, id: str) -> None:
    assert holds(answered(upgraded.recorded)[id], upgraded.first[id])


def test_what_came_later_has_its_default(upgraded: Upgraded) -> None:
    waiting = upgraded.first["waits-for-its-time"]
    assert "priority" not in waiting
    assert "traceParent" not in waiting
    assert "attempts" not in waiting
    assert waiting["retry"]["jitter"] == 0, "it is still retried as it was promised then"


def test_the_attempt_that_ended_an_instance_is_in_its_history(upgraded: Upgraded) -> None:
    failed = upgraded.first["failed"]
    assert [one["number"] for one in failed["attempts"]] == [3]
    assert failed["attempts"][0]["error"]["reason"] == failed["error"]["reason"]


def test_all_are_listed(upgraded: Upgraded) -> None:
    assert upgraded.first.keys() >= REQUESTS.keys()


def test_what_ran_when_its_node_died_is_taken_over(upgraded: Upgraded) -> None:
    again = upgraded.caller.until_state("runs", "STATE_SUCCEEDED")
    assert again["attempt"] == 2
    assert [one["number"] for one in again["attempts"]] == [1, 2]
    assert again["attempts"][0]["error"]["reason"] == "NODE_LOST"

    lost = upgraded.caller.until_state("runs-at-most-once", "STATE_FAILED")
    assert lost["error"]["reason"] == "NODE_LOST"


def test_what_waited_for_another_attempt_has_it(upgraded: Upgraded) -> None:
    # When the hour is over, it does without this.
    with contextlib.suppress(grpc.RpcError):
        upgraded.caller.reschedule("waits-for-another-attempt", "2026-01-01T00:00:00Z")
    ended = upgraded.caller.until_state("waits-for-another-attempt", "STATE_SUCCEEDED")
    assert ended["attempt"] == 2


def test_an_ended_one_is_retried(upgraded: Upgraded) -> None:
    upgraded.caller.retry("succeeded")
    again = upgraded.caller.until(
        "succeeded", lambda one: (one["attempt"], one["state"]) == (2, "STATE_SUCCEEDED")
    )
    assert [one["number"] for one in again["attempts"]] == [1, 2]


def test_a_waiting_one_is_aborted(upgraded: Upgraded) -> None:
    upgraded.caller.abort("waits-for-its-time")
    assert upgraded.caller.get("waits-for-its-time")["state"] == "STATE_ABORTED"


@pytest.mark.parametrize("id", REQUESTS)
def test_a_create_that_is_repeated_is_still_the_same(upgraded: Upgraded, id: str) -> None:
    repeated = upgraded.caller.create(id, REQUESTS[id])
    assert repeated["createTime"] == answered(upgraded.recorded)[id]["createTime"]


@pytest.mark.parametrize("id", SCHEDULES)
def test_a_schedule_is_as_it_was(upgraded: Upgraded, id: str) -> None:
    (old,) = (
        one["schedule"]
        for one in upgraded.recorded["answers"]["schedules"]
        if one["schedule"]["id"] == id
    )
    new = upgraded.schedules[id]
    assert holds(old["spec"], new["spec"])
    assert holds(old["createTime"], new["createTime"])
    assert old.get("isPaused", False) == new.get("isPaused", False)


@pytest.mark.parametrize("id", SCHEDULES)
def test_a_schedule_whose_create_is_repeated_is_still_the_same(upgraded: Upgraded, id: str) -> None:
    repeated = upgraded.caller.create_schedule(id, SCHEDULES[id])
    assert repeated["createTime"] == upgraded.schedules[id]["createTime"]


def test_a_schedule_fires(upgraded: Upgraded) -> None:
    triggered = upgraded.caller.trigger("hourly")
    assert upgraded.caller.until_state(triggered["id"], "STATE_SUCCEEDED")["scheduleId"] == "hourly"


async def test_indexes_and_options_are_those_of_a_new_database(
    upgraded: Upgraded, mongodb_uri: str, database: str
) -> None:
    retention = timedelta(days=24_000)
    store = MongoStore(uri=mongodb_uri, database=database, retention=retention, clock=SystemClock())
    fresh = upgraded.raw.client[database]
    async with store:
        for name in COLLECTIONS:
            new, old = fresh[name].index_information(), upgraded.raw[name].index_information()
            assert {k: {**v, "ns": 0} for k, v in old.items()} == {
                k: {**v, "ns": 0} for k, v in new.items()
            }
            assert upgraded.raw[name].options() == fresh[name].options()
