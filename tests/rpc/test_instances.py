"""Every method of InstanceService, as a client meets it."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import grpc
import pytest

from later_core.rpc.v1 import later_pb2 as pb


async def create(served, **fields):
    fields.setdefault("task", "echo")
    request = pb.CreateInstanceRequest(**fields)
    return (await served.instances.CreateInstance(request)).instance


async def test_a_created_instance_is_answered_as_it_is_stored(serve):
    async with serve() as served:
        request = pb.CreateInstanceRequest(
            id="order-7", task="echo", parameters=b"\x00\xff", labels={"tenant": "blue"}
        )
        request.delay.FromSeconds(3600)
        request.retry.max_attempts = 3
        request.timeout.FromSeconds(60)
        created = (await served.instances.CreateInstance(request)).instance
        read = (await served.instances.GetInstance(pb.GetInstanceRequest(id="order-7"))).instance
        assert read == created
        assert created.state == pb.STATE_PENDING
        assert created.parameters == b"\x00\xff"
        assert created.labels == {"tenant": "blue"}
        assert created.retry.max_attempts == 3
        assert created.retry.min_backoff.ToMilliseconds() == 1000
        assert created.timeout.ToMilliseconds() == 60_000
        assert created.delivery == pb.DELIVERY_AT_LEAST_ONCE
        assert created.revision == 1
        assert not created.HasField("start_deadline")
        assert not created.HasField("finish_time")
        assert not created.HasField("error")
        delay = created.execution_time.ToMilliseconds() - created.create_time.ToMilliseconds()
        assert delay in (3_600_000, 3_600_001)


async def test_json_is_stored_as_its_compact_text(serve):
    async with serve() as served:
        request = pb.CreateInstanceRequest(task="echo")
        request.json.update({"z": 1, "message": "größer", "list": [1.5, True, None]})
        created = (await served.instances.CreateInstance(request)).instance
        assert created.parameters == '{"list":[1.5,true,null],"message":"größer","z":1}'.encode()
        assert json.loads(created.parameters)["z"] == 1


async def test_an_instant_finer_than_a_millisecond_is_rounded_up(serve):
    async with serve() as served:
        request = pb.CreateInstanceRequest(task="echo")
        request.execution_time.seconds = 2_000_000_000
        request.execution_time.nanos = 1
        created = (await served.instances.CreateInstance(request)).instance
        assert created.execution_time.ToNanoseconds() == 2_000_000_000_001_000_000


async def test_the_same_create_again_answers_the_stored_instance(serve, refusal):
    async with serve() as served:
        first = await create(served, id="once", parameters=b"a")
        assert await create(served, id="once", parameters=b"a") == first
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await create(served, id="once", parameters=b"b")
        refused = refusal(raised.value)
        assert refused.code is grpc.StatusCode.ALREADY_EXISTS
        assert refused.info.reason == "INSTANCE_ALREADY_EXISTS"
        assert refused.info.metadata == {"id": "once"}


async def test_an_unknown_task_is_refused_with_the_nearest_names(serve, refusal):
    async with serve() as served:
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await create(served, task="ehco")
        refused = refusal(raised.value)
        assert refused.code is grpc.StatusCode.NOT_FOUND
        assert refused.info.reason == "TASK_NOT_FOUND"
        assert refused.info.domain == "later"
        assert refused.info.metadata == {"task": "ehco", "nearest": "echo"}


async def test_in_a_batch_a_wrong_request_fails_alone(serve, refusal):
    async with serve() as served:
        await create(served, id="taken", parameters=b"other")
        wrong = pb.CreateInstanceRequest(task="echo", labels={"bad key": "x"})
        late = pb.CreateInstanceRequest(task="echo")
        late.delay.FromSeconds(3_153_600_000)
        response = await served.instances.BatchCreateInstances(
            pb.BatchCreateInstancesRequest(
                requests=[
                    pb.CreateInstanceRequest(task="echo", id="a"),
                    wrong,
                    pb.CreateInstanceRequest(task="nobody"),
                    pb.CreateInstanceRequest(task="echo", id="taken"),
                    late,
                    pb.CreateInstanceRequest(task="echo", id="b"),
                ]
            )
        )
        kinds = [result.WhichOneof("result") for result in response.results]
        assert kinds == ["instance", "error", "error", "error", "instance", "instance"]
        assert response.results[0].instance.id == "a"
        assert list(refusal(response.results[1].error).violations) == [
            'requests[1].labels["bad key"]'
        ]
        assert refusal(response.results[2].error).info.reason == "TASK_NOT_FOUND"
        assert refusal(response.results[3].error).code is grpc.StatusCode.ALREADY_EXISTS
        assert response.results[5].instance.id == "b"


async def test_large_instances_in_a_batch_answer_stay_receivable(serve):
    async with serve() as served:
        requests = [
            pb.CreateInstanceRequest(task="echo", id=f"i{n}", parameters=b"x" * 1_000_000)
            for n in range(4)
        ]
        batch = pb.BatchCreateInstancesRequest(requests=requests)
        response = await served.instances.BatchCreateInstances(batch)
        assert [result.instance.id for result in response.results] == ["i0", "i1", "i2", "i3"]
        sizes = [len(result.instance.parameters) for result in response.results]
        assert sizes == [1_000_000, 1_000_000, 0, 0]
        assert response.ByteSize() < 4 * 1024 * 1024


async def test_pages_lead_from_one_to_the_next_in_order_of_time(serve):
    async with serve() as served:
        for n in range(7):
            request = pb.CreateInstanceRequest(task="echo", id=f"i{n}")
            request.execution_time.FromSeconds(2_000_000_000 - n)
            await served.instances.CreateInstance(request)
        ids, token = [], ""
        while True:
            page = await served.instances.ListInstances(
                pb.ListInstancesRequest(page_size=3, page_token=token)
            )
            ids += [instance.id for instance in page.instances]
            token = page.next_page_token
            if not token:
                break
        assert ids == ["i6", "i5", "i4", "i3", "i2", "i1", "i0"]


async def test_a_page_that_no_client_would_take_is_cut(serve):
    async with serve() as served:
        labels = {f"k{n}": "é" * 255 for n in range(32)}
        for start in (0, 150):
            requests = [
                pb.CreateInstanceRequest(task="echo", id=f"i{n:03}", labels=labels)
                for n in range(start, start + 150)
            ]
            await served.instances.BatchCreateInstances(
                pb.BatchCreateInstancesRequest(requests=requests)
            )
        first = await served.instances.ListInstances(pb.ListInstancesRequest(page_size=1000))
        rest = await served.instances.ListInstances(
            pb.ListInstancesRequest(page_size=1000, page_token=first.next_page_token)
        )
        assert 0 < len(first.instances) < 300
        assert first.ByteSize() < 4 * 1024 * 1024
        ids = {instance.id for page in (first, rest) for instance in page.instances}
        assert len(ids) == len(first.instances) + len(rest.instances) == 300


async def test_a_filter_selects_by_every_condition(serve):
    async with serve() as served:
        await create(served, id="a", labels={"k": "1"})
        await create(served, id="b", labels={"k": "2"})
        await create(served, id="c", task="bash", labels={"k": "1"})
        soon = pb.CreateInstanceRequest(task="echo", id="d", labels={"k": "1"})
        soon.delay.FromSeconds(3600)
        await served.instances.CreateInstance(soon)

        async def ids(**conditions):
            request = pb.ListInstancesRequest(filter=pb.InstanceFilter(**conditions))
            page = await served.instances.ListInstances(request)
            return sorted(instance.id for instance in page.instances)

        assert await ids(labels={"k": "1"}) == ["a", "c", "d"]
        assert await ids(tasks=["bash"]) == ["c"]
        assert await ids(states=[pb.STATE_RUNNING]) == []
        assert await ids(schedule_id="nightly") == []
        now = datetime.now(UTC)  # noqa: TID251 - the reference store runs on the machine's clock
        assert await ids(start_time=now) == ["d"]
        assert await ids(end_time=now, tasks=["echo"]) == ["a", "b"]


async def test_an_abort_says_which_state_it_ended(serve, refusal):
    async with serve() as served:
        await create(served, id="a")
        answer = await served.instances.AbortInstance(pb.AbortInstanceRequest(id="a"))
        assert answer.previous_state == pb.STATE_PENDING
        assert answer.instance.state == pb.STATE_ABORTED
        assert answer.instance.HasField("finish_time")
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await served.instances.AbortInstance(pb.AbortInstanceRequest(id="a"))
        refused = refusal(raised.value)
        assert refused.code is grpc.StatusCode.FAILED_PRECONDITION
        assert refused.info.reason == "INSTANCE_ENDED"
        assert refused.info.metadata == {"id": "a", "state": "ABORTED"}


async def test_a_reschedule_is_guarded_by_the_revision(serve, refusal):
    async with serve() as served:
        await create(served, id="a")
        request = pb.RescheduleInstanceRequest(id="a", revision=1)
        request.execution_time.FromSeconds(2_000_000_000)
        moved = (await served.instances.RescheduleInstance(request)).instance
        assert moved.execution_time.seconds == 2_000_000_000
        assert moved.revision == 2
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await served.instances.RescheduleInstance(request)
        refused = refusal(raised.value)
        assert refused.code is grpc.StatusCode.ABORTED
        assert refused.info.metadata == {"id": "a", "expected": "1", "actual": "2"}


async def test_a_retry_makes_an_ended_instance_pending_again(serve, refusal):
    async with serve() as served:
        await create(served, id="a")
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await served.instances.RetryInstance(pb.RetryInstanceRequest(id="a"))
        assert refusal(raised.value).info.reason == "INSTANCE_NOT_ENDED"
        await served.instances.AbortInstance(pb.AbortInstanceRequest(id="a"))
        again = (await served.instances.RetryInstance(pb.RetryInstanceRequest(id="a"))).instance
        assert again.state == pb.STATE_PENDING


@pytest.mark.parametrize("method", ["GetInstance", "AbortInstance", "RetryInstance"])
async def test_an_unknown_id_is_not_found(serve, refusal, method):
    async with serve() as served:
        request = getattr(pb, f"{method}Request")(id="nobody")
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await getattr(served.instances, method)(request)
        refused = refusal(raised.value)
        assert refused.code is grpc.StatusCode.NOT_FOUND
        assert refused.info.reason == "INSTANCE_NOT_FOUND"
