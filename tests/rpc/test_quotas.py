"""A principal's quota on a real channel."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration

from later_core.client.client import Client
from later_core.local.quotas import Quotas
from later_core.model.instance import NewInstance
from later_core.model.query import Filter
from later_core.model.rate import RateLimit
from later_core.rpc.v1 import later_pb2 as pb


async def test_a_principal_that_has_had_its_share_is_told_how_much_and_when(serve, refusal):
    slow = RateLimit(count=1, per=timedelta(hours=1), burst=3)
    async with serve(quotas=Quotas(rates={"*": slow})) as served:
        for _ in range(3):
            await served.instances.CreateInstance(pb.CreateInstanceRequest(task="echo"))
        batch = pb.BatchCreateInstancesRequest(requests=[pb.CreateInstanceRequest(task="echo")])
        for call in (
            served.instances.CreateInstance(pb.CreateInstanceRequest(task="echo")),
            served.instances.BatchCreateInstances(batch),
        ):
            with pytest.raises(grpc.aio.AioRpcError) as raised:
                await call
            refused = refusal(raised.value)
            assert refused.code is grpc.StatusCode.RESOURCE_EXHAUSTED
            assert refused.info.reason == "QUOTA_EXCEEDED"
            assert refused.info.metadata["limit"] == str(slow)
            assert refused.retry_info is not None
            assert refused.retry_info.retry_delay.seconds > 3000
        page = await served.instances.ListInstances(pb.ListInstancesRequest())
        assert len(page.instances) == 3


async def test_the_client_and_a_stream_wait_for_their_share(serve):
    quotas = Quotas(rates={"*": RateLimit(count=20, burst=2)})
    async with serve(quotas=quotas) as served:
        async with Client(served.server.address) as client:
            created = [await client.create(NewInstance(task="echo")) for _ in range(6)]
        assert len({instance.id for instance in created}) == 6

        async def batches():
            for _ in range(3):
                yield pb.StreamCreateInstancesRequest(
                    requests=[pb.CreateInstanceRequest(task="echo")] * 2
                )

        answers = [answer async for answer in served.instances.StreamCreateInstances(batches())]
        assert [len(answer.ids) for answer in answers] == [2, 2, 2]


def bearer(secret):
    return (("authorization", f"Bearer {secret}"),)


async def refused(call, refusal):
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call
    return refusal(raised.value)


def far(count):
    later = Duration(seconds=3600)
    return [pb.CreateInstanceRequest(task="echo", delay=later) for _ in range(count)]


@pytest.mark.parametrize("place", ["memory", "mongodb"])
async def test_who_has_enough_pending_is_told_how_many_and_what_to_do(
    serve, store_in, refusal, place
):
    async with store_in(place) as store, serve(store, pending={"*": 3}) as served:
        create = served.instances.CreateInstance
        first = await create(far(1)[0])
        answer = await served.instances.BatchCreateInstances(
            pb.BatchCreateInstancesRequest(requests=far(4))
        )
        assert [result.HasField("instance") for result in answer.results] == [1, 1, 0, 0]
        inner = refusal(answer.results[3].error)
        outer = await refused(create(far(1)[0]), refusal)
        for told in (inner, outer):
            assert told.code is grpc.StatusCode.RESOURCE_EXHAUSTED
            assert told.info.reason == "PENDING_LIMIT_REACHED"
            assert told.info.metadata["limit"] == "3"
            assert told.retry_info.retry_delay.seconds == 1
            (violation,) = told.quota_failure.violations
            assert "LATER_PENDING_LIMITS" in violation.description
        # The client waits as it was told, and goes on once there is room.
        async with Client(served.server.address) as client:
            await client.abort(first.instance.id)
            await client.create(NewInstance(task="echo", delay=timedelta(hours=1)))


async def test_of_a_stream_what_finds_no_place_fails_alone(serve):
    async def batches():
        for _ in range(3):
            yield pb.StreamCreateInstancesRequest(requests=far(2))

    async with serve(pending={"*": 3}) as served:
        answers = [answer async for answer in served.instances.StreamCreateInstances(batches())]
    assert [[failure.index for failure in answer.failures] for answer in answers] == [
        [],
        [1],
        [0, 1],
    ]


async def test_a_token_has_quotas_of_its_own(serve, refusal, admin_secret):
    admin = bearer(admin_secret)
    async with serve(guarded=True, pending={"*": 1}) as served:

        async def made(**fields):
            request = pb.CreateTokenRequest(roles=[pb.ROLE_SCHEDULER], **fields)
            return await served.admin.CreateToken(request, metadata=admin)

        async def create(token):
            return await served.instances.CreateInstance(far(1)[0], metadata=bearer(token.secret))

        wide = await made(name="wide", max_pending=2, create_rate="1/h+3")
        free = await made(name="free", max_pending=-1)
        plain = await made(name="plain")
        listed = await served.admin.ListTokens(pb.ListTokensRequest(), metadata=admin)
        assert {(t.name, t.max_pending, t.create_rate) for t in listed.tokens} == {
            ("wide", 2, "1/1h+3"),
            ("free", -1, ""),
            ("plain", 0, ""),
        }
        for token, most, reason in (
            (wide, 2, "PENDING_LIMIT_REACHED"),
            (plain, 1, "PENDING_LIMIT_REACHED"),
            (wide, 0, "QUOTA_EXCEEDED"),
        ):
            for _ in range(most):
                await create(token)
            assert (await refused(create(token), refusal)).info.reason == reason
        for _ in range(5):
            await create(free)
        wrong = await refused(made(name="x", create_rate="fast"), refusal)
        assert "create_rate" in wrong.violations


async def test_what_has_ended_is_not_run_again_where_there_is_no_place(serve, refusal):
    async with serve(pending={"*": 2}) as served:
        await served.instances.CreateInstance(far(1)[0])
        ended = await served.instances.CreateInstance(far(1)[0])
        await served.instances.AbortInstance(pb.AbortInstanceRequest(id=ended.instance.id))
        await served.instances.CreateInstance(far(1)[0])
        again = served.instances.RetryInstance(pb.RetryInstanceRequest(id=ended.instance.id))
        assert (await refused(again, refusal)).info.reason == "PENDING_LIMIT_REACHED"


# -- schedules ----------------------------------------------------------------------------------

DAILY = pb.ScheduleSpec(
    task="echo",
    parameters=b'{"message": "x"}',
    rules=[pb.ScheduleRule(cron=pb.CronRule(expression="@daily"))],
)


def days(count, **fields):
    """A backfill of so many days of last year."""
    start = datetime(2025, 3, 1, tzinfo=UTC)
    request = pb.BackfillScheduleRequest(id="s", **fields)
    request.start_time.FromDatetime(start)
    request.end_time.FromDatetime(start + timedelta(days=count))
    return request


async def stored(served):
    page = await served.store.list(Filter(), after=None, limit=100)
    return len(page.instances)


@pytest.mark.parametrize("place", ["memory", "mongodb"])
async def test_a_trigger_that_finds_no_place_is_refused_and_stores_nothing(
    serve, store_in, refusal, place
):
    async with store_in(place) as store, serve(store, pending={"*": 2}) as served:
        await served.schedules.CreateSchedule(pb.CreateScheduleRequest(id="s", spec=DAILY))
        first = await served.instances.CreateInstance(far(1)[0])

        def trigger(request_id):
            request = pb.TriggerScheduleRequest(id="s", request_id=request_id)
            return served.schedules.TriggerSchedule(request)

        await trigger("a")
        told = await refused(trigger("b"), refusal)
        assert (told.code, told.info.reason) == (
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            "PENDING_LIMIT_REACHED",
        )
        assert told.retry_info.retry_delay.seconds == 1
        assert told.quota_failure.violations
        assert await stored(served) == 2
        # The client waits as it was told, and goes on once there is room.
        async with Client(served.server.address) as client:
            await client.abort(first.instance.id)
            assert (await client.trigger_schedule("s", "b")).id == "s@manual-b"


@pytest.mark.parametrize("place", ["memory", "mongodb"])
async def test_a_backfill_has_room_for_all_of_a_call_or_stores_nothing(
    serve, store_in, refusal, place
):
    async with store_in(place) as store, serve(store, pending={"*": 3}) as served:
        await served.schedules.CreateSchedule(pb.CreateScheduleRequest(id="s", spec=DAILY))
        backfill = served.schedules.BackfillSchedule
        told = await refused(backfill(days(5)), refusal)
        assert told.info.reason == "PENDING_LIMIT_REACHED"
        assert await stored(served) == 0
        # What fits is let in: as the client waits, beyond the tenth of a second for which a refusal holds.
        start = days(1).start_time.ToDatetime(tzinfo=UTC)
        async with Client(served.server.address) as client:
            done = await client.backfill_schedule("s", start, start + timedelta(days=3))
        assert (done.created, done.existing) == (3, 0)
        told = await refused(backfill(days(5, limit=1)), refusal)
        assert told.info.reason == "PENDING_LIMIT_REACHED"
        assert await stored(served) == 3


async def test_a_token_that_bounds_nothing_triggers_and_backfills_beyond_the_settings(
    serve, admin_secret
):
    async with serve(guarded=True, pending={"*": 1}) as served:
        made = await served.admin.CreateToken(
            pb.CreateTokenRequest(name="free", roles=[pb.ROLE_SCHEDULER], max_pending=-1),
            metadata=bearer(admin_secret),
        )
        free = bearer(made.secret)
        await served.schedules.CreateSchedule(
            pb.CreateScheduleRequest(id="s", spec=DAILY), metadata=free
        )
        for _ in range(2):
            await served.schedules.TriggerSchedule(pb.TriggerScheduleRequest(id="s"), metadata=free)
        answer = await served.schedules.BackfillSchedule(days(3), metadata=free)
        assert answer.created == 3
