"""ScheduleService over a real channel, on the reference store and on MongoDB."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import grpc
import pytest
from google.protobuf.json_format import ParseDict

from later_core.model.limits import RESPONSE_MAX_BYTES
from later_core.rpc.v1 import later_pb2 as pb

DAILY = {"rules": [{"cron": {"expression": "0 9 * * *"}}], "time_zone": "Europe/Paris"}


Opened = Callable[..., AbstractAsyncContextManager[Any]]


@pytest.fixture(params=["memory", "mongodb"])
async def served(
    serve: Opened, store_in: Opened, request: pytest.FixtureRequest
) -> AsyncIterator[Any]:
    async with store_in(request.param) as store, serve(store) as served:
        yield served


async def ask(served: Any, method: str, **fields: Any) -> Any:
    """Call a method with what a person would type into grpcurl."""
    request = ParseDict(fields, getattr(pb, f"{method}Request")())
    return await getattr(served.schedules, method)(request, timeout=20)


async def create(served: Any, id: str = "backup", **spec: Any) -> pb.Schedule:
    response = await ask(served, "CreateSchedule", id=id, spec={"task": "echo", **DAILY, **spec})
    return response.schedule


async def refused(refusal: Any, call: Any) -> Any:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call
    return refusal(raised.value)


def texts(times: Any) -> list[str]:
    return [time.ToJsonString() for time in times]


async def test_a_created_schedule_is_answered_and_found(served):
    created = await create(served, json={"message": "hi"}, labels={"team": "blue"})
    assert created.spec.parameters == b'{"message":"hi"}'
    assert (created.revision, created.is_paused) == (1, False)
    assert created.etag
    found = await ask(served, "GetSchedule", id="backup")
    assert found.schedule.spec == created.spec
    assert len(found.next_times) == 5
    assert list(found.next_times) == sorted(found.next_times, key=lambda time: time.seconds)


async def test_the_same_create_again_answers_the_stored_and_another_one_is_refused(served, refusal):
    first = await create(served)
    again = await create(served)
    assert (again.etag, again.spec) == (first.etag, first.spec)
    refusal_ = await refused(refusal, create(served, max_runs=3))
    assert refusal_.code is grpc.StatusCode.ALREADY_EXISTS
    assert refusal_.info.reason == "SCHEDULE_ALREADY_EXISTS"


async def test_without_an_id_the_server_makes_one(served):
    created = await create(served, id="")
    assert (await ask(served, "GetSchedule", id=created.id)).schedule.id == created.id


async def test_a_schedule_of_an_unknown_task_is_refused_with_the_nearest_names(served, refusal):
    answer = await refused(refusal, create(served, task="ecko"))
    assert answer.code is grpc.StatusCode.NOT_FOUND
    assert answer.info.metadata["nearest"] == "echo"


async def test_what_get_answers_can_be_changed_and_sent_back(served):
    await create(served)
    found = (await ask(served, "GetSchedule", id="backup")).schedule
    found.spec.rules[0].cron.expression = "30 9 * * *"
    request = pb.UpdateScheduleRequest(id="backup", spec=found.spec, etag=found.etag)
    updated = (await served.schedules.UpdateSchedule(request)).schedule
    assert updated.spec == found.spec
    assert updated.revision == found.revision + 1
    assert updated.etag != found.etag


@pytest.mark.parametrize("method", ["UpdateSchedule", "DeleteSchedule"])
async def test_a_stale_etag_changes_nothing(served, refusal, method):
    stale = (await create(served)).etag
    await ask(served, "PauseSchedule", id="backup")
    spec = {"spec": {"task": "echo", **DAILY}} if method == "UpdateSchedule" else {}
    answer = await refused(refusal, ask(served, method, id="backup", etag=stale, **spec))
    assert answer.code is grpc.StatusCode.ABORTED
    assert answer.info.reason == "ETAG_MISMATCH"
    assert answer.info.metadata["expected"] == stale


async def test_pause_and_resume_say_why(served):
    await create(served)
    paused = (await ask(served, "PauseSchedule", id="backup", note="holiday")).schedule
    assert (paused.is_paused, paused.pause_note) == (True, "holiday")
    assert not (await ask(served, "GetSchedule", id="backup")).next_times
    resumed = (await ask(served, "ResumeSchedule", id="backup", note="back")).schedule
    assert (resumed.is_paused, resumed.pause_note) == (False, "back")
    assert len((await ask(served, "GetSchedule", id="backup")).next_times) == 5


async def test_a_schedule_can_be_created_paused(served):
    response = await ask(
        served,
        "CreateSchedule",
        id="later",
        spec={"task": "echo", **DAILY},
        is_paused=True,
        pause_note="not yet",
    )
    assert (response.schedule.is_paused, response.schedule.pause_note) == (True, "not yet")


async def test_a_repeated_trigger_answers_the_same_instance(served):
    await create(served)
    first = (await ask(served, "TriggerSchedule", id="backup", request_id="r1")).instance
    again = (await ask(served, "TriggerSchedule", id="backup", request_id="r1")).instance
    other = (await ask(served, "TriggerSchedule", id="backup")).instance
    assert first.id == again.id == "backup@manual-r1"
    assert other.id not in ("", first.id)
    assert first.task == "echo"


async def test_a_backfill_goes_on_where_it_stopped_and_makes_no_doubles(served):
    await create(served)
    span = {"start_time": "2026-03-01T00:00:00Z", "end_time": "2026-03-04T00:00:00Z"}
    first = await ask(served, "BackfillSchedule", id="backup", limit=2, **span)
    assert (first.created, first.existing) == (2, 0)
    assert first.HasField("next_start_time")
    rest = await ask(
        served,
        "BackfillSchedule",
        id="backup",
        **{**span, "start_time": first.next_start_time.ToJsonString()},
    )
    assert (rest.created, rest.existing) == (1, 0)
    assert not rest.HasField("next_start_time")
    again = await ask(served, "BackfillSchedule", id="backup", **span)
    assert (again.created, again.existing) == (0, 3)
    made = await served.instances.GetInstance(pb.GetInstanceRequest(id="backup@20260302T080000Z"))
    assert made.instance.task == "echo"


async def test_a_preview_of_what_is_not_stored_needs_no_task_and_stores_nothing(served):
    answer = await ask(served, "PreviewSchedule", spec=DAILY, after="2026-03-27T12:00:00Z", count=3)
    # The clocks of Paris change on the 29th; nine o'clock stays nine o'clock.
    assert texts(answer.times) == [
        "2026-03-28T08:00:00Z",
        "2026-03-29T07:00:00Z",
        "2026-03-30T07:00:00Z",
    ]
    assert not (await ask(served, "ListSchedules")).schedules


async def test_a_preview_of_a_stored_one_is_what_it_was_made_of(served):
    await create(served)
    after = "2026-03-27T12:00:00Z"
    stored = await ask(served, "PreviewSchedule", id="backup", after=after)
    thought = await ask(served, "PreviewSchedule", spec=DAILY, after=after)
    assert len(stored.times) == 10
    assert texts(stored.times) == texts(thought.times)


async def test_a_preview_ends_with_the_schedule(served):
    spec = {"rules": [{"times": {"times": ["2030-01-02T00:00:00Z", "2030-01-01T00:00:00Z"]}}]}
    answer = await ask(served, "PreviewSchedule", spec=spec)
    assert texts(answer.times) == ["2030-01-01T00:00:00Z", "2030-01-02T00:00:00Z"]


async def test_pages_hold_every_schedule_once_in_order_of_id(served):
    ids = [f"s{n:02}" for n in range(7)]
    for id in reversed(ids):
        await create(served, id)
    seen, token = [], ""
    for _ in ids:
        page = await ask(served, "ListSchedules", page_size=3, page_token=token)
        seen += [listed.schedule.id for listed in page.schedules]
        assert all(len(listed.next_times) == 5 for listed in page.schedules)
        token = page.next_page_token
        if not token:
            break
    assert seen == ids


async def test_a_page_is_cut_where_it_would_be_too_large_to_receive(served):
    for id in "abc":
        await create(served, id, json={"x": "x" * (RESPONSE_MAX_BYTES // 2 - 1000)})
    page = await ask(served, "ListSchedules")
    assert [listed.schedule.id for listed in page.schedules] == ["a", "b"]
    rest = await ask(served, "ListSchedules", page_token=page.next_page_token)
    assert [listed.schedule.id for listed in rest.schedules] == ["c"]
    assert not rest.next_page_token


@pytest.mark.parametrize(
    ("filter", "expected"),
    [
        ({}, ["blue", "red", "resting"]),
        ({"labels": {"team": "blue"}}, ["blue"]),
        ({"tasks": ["bash"]}, ["red"]),
        ({"is_paused": True}, ["resting"]),
        ({"is_paused": False}, ["blue", "red"]),
        ({"is_paused": False, "tasks": ["echo"]}, ["blue"]),
    ],
)
async def test_a_list_has_what_the_filter_says(served, filter, expected):
    await create(served, "blue", labels={"team": "blue"})
    await create(served, "red", task="bash")
    await create(served, "resting")
    await ask(served, "PauseSchedule", id="resting")
    page = await ask(served, "ListSchedules", filter=filter)
    assert [listed.schedule.id for listed in page.schedules] == expected


async def test_a_deleted_schedule_is_answered_once_more(served, refusal):
    etag = (await create(served)).etag
    deleted = await ask(served, "DeleteSchedule", id="backup", etag=etag)
    assert deleted.schedule.id == "backup"
    answer = await refused(refusal, ask(served, "GetSchedule", id="backup"))
    assert answer.code is grpc.StatusCode.NOT_FOUND
    assert answer.info.reason == "SCHEDULE_NOT_FOUND"


@pytest.mark.parametrize(
    ("method", "fields"),
    [
        ("UpdateSchedule", {"spec": {"task": "echo", **DAILY}}),
        ("DeleteSchedule", {}),
        ("PauseSchedule", {}),
        ("ResumeSchedule", {}),
        ("TriggerSchedule", {}),
        (
            "BackfillSchedule",
            {"start_time": "2026-01-01T00:00:00Z", "end_time": "2026-01-02T00:00:00Z"},
        ),
        ("PreviewSchedule", {}),
    ],
)
async def test_what_is_asked_of_an_unknown_schedule_is_not_found(served, refusal, method, fields):
    answer = await refused(refusal, ask(served, method, id="nobody", **fields))
    assert answer.code is grpc.StatusCode.NOT_FOUND
    assert answer.info.reason == "SCHEDULE_NOT_FOUND"


async def test_what_is_missing_is_named_in_the_words_of_the_proto(served, refusal):
    answer = await refused(refusal, ask(served, "CreateSchedule", spec={"rules": [{}]}))
    assert answer.violations == {
        "spec.task": "must name a task",
        "spec.rules[0].rule": "set cron or interval or calendar or times",
    }
    answer = await refused(refusal, ask(served, "CreateSchedule"))
    assert answer.violations == {"spec": "must be set"}
    answer = await refused(refusal, ask(served, "PreviewSchedule"))
    assert answer.violations == {"schedule": "set id or spec"}
