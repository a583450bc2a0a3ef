"""The client against a real server: values in, values out, errors with their reasons."""

import asyncio
import socket
from contextlib import aclosing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from later_core.client.client import Client
from later_core.client.errors import RpcError
from later_core.model.event import EventType
from later_core.model.instance import Instance, NewInstance
from later_core.model.query import Filter
from later_core.model.rate import RateLimit
from later_core.model.retry import RetryPolicy
from later_core.model.state import State

FAR = timedelta(hours=1)


async def test_a_created_instance_is_answered_as_it_is_stored(client: Client):
    request = NewInstance(
        task="echo",
        id="mine",
        parameters=b"\x00\xff",
        execution_time=datetime(2500, 1, 1, tzinfo=UTC),
        retry=RetryPolicy(max_attempts=3, min_backoff=timedelta(seconds=2)),
        timeout=timedelta(seconds=5),
        start_deadline=timedelta(days=1),
        labels={"team": "blue"},
    )
    created = await client.create(request)
    for name in ("task", "id", "parameters", "execution_time", "retry", "timeout", "labels"):
        assert getattr(created, name) == getattr(request, name), name
    assert created.start_deadline == timedelta(days=1)
    assert await client.get("mine") == created


async def test_a_create_without_an_id_gets_one_from_the_client(client: Client, far):
    created = await client.create(far())
    assert UUID(created.id).version == 7


async def test_a_create_that_is_repeated_answers_the_stored_instance(client: Client, far):
    request = far("again")
    assert await client.create(request) == await client.create(request)


async def test_the_same_id_with_other_content_already_exists(client: Client, far):
    await client.create(far("taken"))
    with pytest.raises(RpcError) as caught:
        await client.create(replace(far("taken"), parameters=b"other"))
    assert caught.value.code == "ALREADY_EXISTS"
    assert caught.value.reason == "INSTANCE_ALREADY_EXISTS"
    assert caught.value.metadata == {"id": "taken"}


async def test_many_are_created_in_as_many_calls_as_it_takes_and_answered_in_order(
    client: Client, far
):
    requests = [far(f"n-{number}") for number in range(1003)]
    requests[1001] = replace(requests[1001], task="ecko")
    answers = await client.create_batch(requests)
    assert len(answers) == len(requests)
    failed = answers[1001]
    assert isinstance(failed, RpcError)
    assert (failed.code, failed.reason) == ("NOT_FOUND", "TASK_NOT_FOUND")
    assert failed.metadata["nearest"] == "echo"
    for request, answer in zip(requests, answers, strict=True):
        assert answer is failed or (isinstance(answer, Instance) and answer.id == request.id)


async def test_many_large_ones_fit_the_bounds_of_a_message(client: Client, far):
    answers = await client.create_batch([far(parameters=b"x" * 1024 * 1024) for _ in range(7)])
    assert all(isinstance(answer, Instance) for answer in answers)


async def test_a_wrong_field_is_named(client: Client):
    with pytest.raises(RpcError) as caught:
        await client.create(NewInstance(task="echo", id="no spaces, please"))
    assert caught.value.code == "INVALID_ARGUMENT"
    assert [violation.field for violation in caught.value.violations] == ["id"]


async def test_what_does_not_exist_is_not_found(client: Client):
    with pytest.raises(RpcError) as caught:
        await client.get("nobody")
    assert (caught.value.code, caught.value.reason) == ("NOT_FOUND", "INSTANCE_NOT_FOUND")
    assert caught.value.metadata == {"id": "nobody"}


async def test_a_list_goes_through_all_pages_in_order_of_time(client: Client, far):
    await client.create_many([far(f"p-{n}", delay=FAR - timedelta(minutes=n)) for n in range(5)])
    listed = [instance.id async for instance in client.list(page_size=2)]
    assert listed == ["p-4", "p-3", "p-2", "p-1", "p-0"]


async def test_a_list_keeps_to_its_filter(client: Client, far):
    await client.create_many([far("a", labels={"team": "blue"}), far("b")])
    listed = [each.id async for each in client.list(Filter(labels={"team": "blue"}))]
    assert listed == ["a"]


async def test_an_abort_says_what_it_met(client: Client, far):
    await client.create(far("doomed"))
    instance, before = await client.abort("doomed")
    assert (instance.state, before) == (State.ABORTED, State.PENDING)
    with pytest.raises(RpcError) as caught:
        await client.abort("doomed")
    assert caught.value.code == "FAILED_PRECONDITION"
    assert caught.value.reason == "INSTANCE_ENDED"


async def test_a_reschedule_moves_the_time_and_minds_the_revision(client: Client, far):
    created = await client.create(far("moved"))
    moved = await client.reschedule(
        "moved", execution_time=datetime(2500, 1, 1, tzinfo=UTC), revision=created.revision
    )
    assert moved.execution_time == datetime(2500, 1, 1, tzinfo=UTC)
    with pytest.raises(RpcError) as caught:
        await client.reschedule("moved", delay=FAR, revision=created.revision)
    assert (caught.value.code, caught.value.reason) == ("ABORTED", "REVISION_MISMATCH")
    assert (await client.reschedule("moved", delay=FAR)).revision == moved.revision + 1


async def test_an_ended_instance_is_retried(client: Client, ended):
    await client.create(NewInstance(task="broken", id="broken"))
    first = await ended("broken")
    assert first.state is State.FAILED
    assert first.error is not None
    again = await client.retry("broken", delay=FAR)
    assert again.state is State.PENDING
    assert again.execution_time > first.execution_time


async def test_a_watch_begins_with_a_token_and_tells_every_change_in_order(client: Client, far):
    async with asyncio.timeout(20), aclosing(client.watch()) as batches:
        first = await anext(batches)
        assert (list(first.events), bool(first.position)) == ([], True)
        await client.create(far("seen"))
        await client.abort("seen")
        seen = []
        async for batch in batches:
            seen += [(event.type, event.instance.state) for event in batch.events]
            if len(seen) == 2:
                break
    assert seen == [(EventType.CREATED, State.PENDING), (EventType.UPDATED, State.ABORTED)]


async def test_a_watch_with_a_token_goes_on_behind_it(client: Client, far):
    async with asyncio.timeout(20):
        async with aclosing(client.watch()) as batches:
            token = (await anext(batches)).position
        await client.create(far("missed"))
        async with aclosing(client.watch(resume_token=token)) as batches:
            async for batch in batches:
                if batch.events:
                    break
    assert [event.instance.id for event in batch.events] == ["missed"]


async def test_what_exists_is_told_first_when_asked_for(client: Client, far):
    await client.create(far("there"))
    async with asyncio.timeout(20), aclosing(client.watch(include_existing=True)) as batches:
        batch = await anext(batches)
    assert [event.type for event in batch.events] == [EventType.EXISTING]
    assert batch.position == ""


async def test_a_watch_that_is_left_ends_on_the_server_too(client: Client):
    async with asyncio.timeout(20):
        async with aclosing(client.watch()) as batches:
            await anext(batches)
            assert (await client.stats()).subscribers == 1
        while (await client.stats()).subscribers:
            pass  # each turn is a call to the server; the deadline above decides


async def test_tasks_are_listed_with_their_distribution_and_schema(client: Client):
    listed = await client.tasks()
    assert [task.name for task in listed.tasks] == ["broken", "described", "echo", "hang"]
    assert listed.rejected == []
    task = await client.task("described")
    assert task == listed.tasks[1]
    assert (task.distribution, task.description) == ("later-test", "Says what it takes.")
    assert task.parameters_schema == {"type": "object", "required": ["a"]}
    assert task.rate_limit == RateLimit(count=1000, burst=100)
    echo = await client.task("echo")
    assert (echo.parameters_schema, echo.rate_limit) == (None, None)


async def test_an_unknown_task_is_not_found_with_the_nearest_names(client: Client):
    with pytest.raises(RpcError) as caught:
        await client.task("ecko")
    assert caught.value.metadata == {"task": "ecko", "nearest": "echo"}


async def test_stats_count_every_state(client: Client, far):
    await client.create(far())
    stats = await client.stats()
    assert stats.counts.by_state[State.PENDING] == 1
    assert set(stats.counts.by_state) == set(State)


async def test_health_is_what_the_server_says(client: Client):
    assert await client.health() is True


async def test_no_server_is_unavailable_with_the_remedy():
    async with Client("127.0.0.1:1") as client:
        with pytest.raises(RpcError, match="later serve") as caught:
            await client.get("x")
    assert (caught.value.code, caught.value.reason) == ("UNAVAILABLE", "SERVER_UNREACHABLE")


async def test_a_server_that_does_not_answer_is_given_up_at_the_deadline():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        async with Client(address, deadline=timedelta(milliseconds=200)) as client:
            with pytest.raises(RpcError, match="did not answer in time") as caught:
                await client.get("x")
    assert caught.value.code == "DEADLINE_EXCEEDED"


async def test_nodes_are_listed_and_asked_to_drain(client: Client):
    (before,) = await client.nodes()
    assert (before.status.is_alive, before.buckets) == (True, 256)
    assert before.status.node.id == (await client.stats()).node
    asked = await client.drain(before.status.node.id)
    assert asked.status.is_asked_to_drain
    with pytest.raises(RpcError) as raised:
        await client.drain("nobody")
    assert (raised.value.code, raised.value.reason) == ("NOT_FOUND", "NODE_NOT_FOUND")
