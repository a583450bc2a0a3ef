"""What a confined token may see and change, and that the rest is not there for it."""

from __future__ import annotations

import asyncio

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration

from later_core.model.query import Filter
from later_core.rpc.v1 import later_pb2 as pb
from tests.rpc.callers import DAILY, OUTSIDE, WITHIN, bearer, make_token, refused


async def test_outside_its_scope_a_token_creates_nothing(confined, refusal):
    served, mine, _ = confined
    await served.instances.CreateInstance(pb.CreateInstanceRequest(**WITHIN), metadata=mine)
    for fields in OUTSIDE:
        call = served.instances.CreateInstance(pb.CreateInstanceRequest(**fields), metadata=mine)
        answer = await refused(call, refusal)
        assert answer.code is grpc.StatusCode.PERMISSION_DENIED
        assert answer.info.metadata["principal"] == "ci"
        assert "http-*" in answer.info.metadata["needed"]


async def test_in_a_batch_and_in_a_stream_only_what_lies_outside_is_denied(confined, refusal):
    served, mine, _ = confined
    requests = [pb.CreateInstanceRequest(**fields) for fields in (WITHIN, *OUTSIDE, WITHIN)]
    batch = await served.instances.BatchCreateInstances(
        pb.BatchCreateInstancesRequest(requests=requests), metadata=mine
    )
    codes = [result.error.code for result in batch.results]
    denied = grpc.StatusCode.PERMISSION_DENIED.value[0]
    assert codes == [0, denied, denied, denied, 0]
    stream = served.instances.StreamCreateInstances(
        iter([pb.StreamCreateInstancesRequest(requests=requests)]), metadata=mine
    )
    (answer,) = [answer async for answer in stream]
    assert [bool(id) for id in answer.ids] == [True, False, False, False, True]
    assert {failure.error.code for failure in answer.failures} == {denied}


async def test_what_lies_outside_is_not_found_and_not_listed_and_not_counted(confined, refusal):
    served, mine, all_of_it = confined
    for index, fields in enumerate([WITHIN, *OUTSIDE]):
        await served.instances.CreateInstance(
            pb.CreateInstanceRequest(id=f"i{index}", delay=Duration(seconds=3600), **fields),
            metadata=all_of_it,
        )
    listed = await served.instances.ListInstances(pb.ListInstancesRequest(), metadata=mine)
    assert [instance.id for instance in listed.instances] == ["i0"]
    stats = await served.admin.GetStats(pb.GetStatsRequest(), metadata=mine)
    assert {c.state: c.count for c in stats.states}[pb.STATE_PENDING] == 1
    await served.instances.GetInstance(pb.GetInstanceRequest(id="i0"), metadata=mine)
    for call in (
        served.instances.GetInstance(pb.GetInstanceRequest(id="i1"), metadata=mine),
        served.instances.AbortInstance(pb.AbortInstanceRequest(id="i2"), metadata=mine),
        served.instances.RescheduleInstance(
            pb.RescheduleInstanceRequest(id="i3", delay=Duration(seconds=1)), metadata=mine
        ),
        served.instances.RetryInstance(pb.RetryInstanceRequest(id="i1"), metadata=mine),
    ):
        answer = await refused(call, refusal)
        assert (answer.code, answer.info.reason) == (
            grpc.StatusCode.NOT_FOUND,
            "INSTANCE_NOT_FOUND",
        )
    page = await served.store.list(Filter(), after=None, limit=10)
    assert {instance.revision for instance in page.instances} == {1}
    await served.instances.AbortInstance(pb.AbortInstanceRequest(id="i0"), metadata=mine)


@pytest.mark.parametrize("include_existing", [True, False])
async def test_a_watch_shows_what_lies_within_alone(confined, include_existing):
    served, mine, all_of_it = confined

    async def create(prefix):
        for index, fields in enumerate([*OUTSIDE, WITHIN]):
            await served.instances.CreateInstance(
                pb.CreateInstanceRequest(id=f"{prefix}{index}", **fields), metadata=all_of_it
            )

    await create("before")
    watch = served.instances.WatchInstances(
        pb.WatchInstancesRequest(include_existing=include_existing), metadata=mine
    )
    first = await watch.read()
    await create("after")
    seen = [event.instance.id for event in first.events]
    async with asyncio.timeout(30):
        while "after3" not in seen:
            seen += [event.instance.id for event in (await watch.read()).events]
    assert seen == (["before3", "after3"] if include_existing else ["after3"])


async def test_schedules_keep_to_the_scope_too(confined, refusal):
    served, mine, all_of_it = confined
    for index, fields in enumerate([WITHIN, *OUTSIDE]):
        spec = pb.ScheduleSpec(rules=[DAILY], **fields)
        request = pb.CreateScheduleRequest(id=f"s{index}", spec=spec)
        if index:
            answer = await refused(served.schedules.CreateSchedule(request, metadata=mine), refusal)
            assert answer.code is grpc.StatusCode.PERMISSION_DENIED
        await served.schedules.CreateSchedule(request, metadata=all_of_it if index else mine)
    listed = await served.schedules.ListSchedules(pb.ListSchedulesRequest(), metadata=mine)
    assert [one.schedule.id for one in listed.schedules] == ["s0"]
    assert listed.schedules[0].schedule.principal == "ci"
    outside = pb.ScheduleSpec(rules=[DAILY], task="echo")
    for call, code in (
        (served.schedules.GetSchedule(pb.GetScheduleRequest(id="s1"), metadata=mine), "NOT_FOUND"),
        (
            served.schedules.TriggerSchedule(pb.TriggerScheduleRequest(id="s2"), metadata=mine),
            "NOT_FOUND",
        ),
        (
            served.schedules.DeleteSchedule(pb.DeleteScheduleRequest(id="s3"), metadata=mine),
            "NOT_FOUND",
        ),
        (
            served.schedules.UpdateSchedule(
                pb.UpdateScheduleRequest(id="s0", spec=outside), metadata=mine
            ),
            "PERMISSION_DENIED",
        ),
    ):
        assert (await refused(call, refusal)).code.name == code
    triggered = await served.schedules.TriggerSchedule(
        pb.TriggerScheduleRequest(id="s0"), metadata=mine
    )
    assert triggered.instance.principal == "ci"


async def test_an_admin_who_is_confined_makes_no_tokens(serve, admin_secret, refusal):
    async with serve(guarded=True) as served:
        made = await make_token(served, admin_secret, roles=[pb.ROLE_ADMIN], tasks=["http-*"])
        for call in (
            make_token(served, made.secret, roles=[pb.ROLE_VIEWER]),
            served.admin.ListAuditEntries(
                pb.ListAuditEntriesRequest(), metadata=bearer(made.secret)
            ),
        ):
            answer = await refused(call, refusal)
            assert answer.code is grpc.StatusCode.PERMISSION_DENIED
