"""Many creates through a stream: lazily, in order, and again what a broken connection lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import timedelta

import grpc
import pytest

from later_core.client.client import Client
from later_core.client.errors import NO_ANSWER_IN_TIME, RpcError
from later_core.model.instance import NewInstance
from later_core.rpc.v1 import later_pb2 as pb


async def test_ten_thousand_are_answered_in_their_order(client: Client, far):
    wanted = [f"n-{number}" for number in range(10_000)]
    assert await client.create_many(far(id) for id in wanted) == wanted
    assert len([_ async for _ in client.list(page_size=1000)]) == 10_000


async def test_a_request_that_fails_fails_alone(client: Client, far):
    requests = [far(f"n-{number}") for number in range(1003)]
    requests[1001] = replace(requests[1001], task="ecko")
    answers = await client.create_many(requests)
    failed = answers[1001]
    assert isinstance(failed, RpcError)
    assert (failed.code, failed.reason) == ("NOT_FOUND", "TASK_NOT_FOUND")
    assert [*answers[:1001], *answers[1002:]] == [
        f"n-{number}" for number in range(1003) if number != 1001
    ]


async def test_none_at_all_are_no_error(client: Client):
    assert await client.create_many([]) == []


async def test_large_ones_fit_the_bounds_of_a_message(client: Client, far):
    answers = await client.create_many(far(parameters=b"x" * 1024 * 1024) for _ in range(7))
    assert all(isinstance(answer, str) for answer in answers)


async def test_requests_may_come_as_they_come_to_be(client: Client, far):
    async def requests() -> AsyncIterator[NewInstance]:
        for number in range(3):
            yield far(f"n-{number}")

    assert await client.create_many(requests()) == ["n-0", "n-1", "n-2"]


async def test_no_more_is_taken_than_the_server_takes(client: Client, far):
    taken = 0

    def endless() -> Iterator[NewInstance]:
        nonlocal taken
        while True:
            taken += 1
            yield far(f"n-{taken}")

    answers = client.create_stream(endless())
    assert await anext(answers) == "n-1"
    assert taken <= 4 * 1000 + 1
    await answers.aclose()


async def test_an_error_of_the_requests_is_raised_as_it_is(client: Client, far):
    def broken() -> Iterator[NewInstance]:
        yield far("first")
        raise LookupError("no more")

    with pytest.raises(LookupError, match="no more"):
        await client.create_many(broken())


async def test_no_server_is_unavailable_at_once(far):
    async with Client("127.0.0.1:1") as client:
        with pytest.raises(RpcError, match="later serve"):
            await client.create_many([far("x")])


class Cutting(grpc.aio.ServerInterceptor):
    """A server of streams that end after so many answers each, and of none that says nothing."""

    def __init__(self, *answers: int) -> None:
        self.answers = list(answers)
        self.seen: list[list[str]] = []

    async def intercept_service(self, continuation, details):
        async def answer(requests, context):
            left = self.answers.pop(0) if self.answers else 1_000
            seen: list[str] = []
            self.seen.append(seen)
            async for raw in requests:
                batch = pb.StreamCreateInstancesRequest.FromString(raw)
                if not left:
                    await context.abort(grpc.StatusCode.UNAVAILABLE, "cut")
                if left < 0:
                    await asyncio.Event().wait()
                left -= 1
                ids = [request.id for request in batch.requests]
                seen += ids
                yield pb.StreamCreateInstancesResponse(ids=ids).SerializeToString()

        return grpc.stream_stream_rpc_method_handler(answer)


@pytest.fixture
async def cutting():
    servers: list[grpc.aio.Server] = []

    async def start(*answers: int) -> tuple[Cutting, str]:
        interceptor = Cutting(*answers)
        servers.append(grpc.aio.server(interceptors=[interceptor]))
        port = servers[-1].add_insecure_port("127.0.0.1:0")
        await servers[-1].start()
        return interceptor, f"127.0.0.1:{port}"

    yield start
    for server in servers:
        await server.stop(None)


async def test_what_was_not_answered_is_sent_again_with_the_same_ids(cutting, far):
    server, address = await cutting(2, 1, 0, 0)
    async with asyncio.timeout(60), Client(address) as client:
        answers = await client.create_many(far() for _ in range(6500))
    assert len(set(answers)) == len(answers) == 6500
    # An answer on its way when the stream was cut may be lost, and its batch come twice.
    assert list(dict.fromkeys(id for stream in server.seen for id in stream)) == answers
    assert len(server.seen) == 5


async def test_it_is_given_up_when_no_server_answers_for_long(cutting, far):
    _, address = await cutting(1, *[0] * 100)
    async with asyncio.timeout(60), Client(address) as client:
        with pytest.raises(RpcError) as caught:
            await client.create_many(
                (far() for _ in range(2500)), patience=timedelta(milliseconds=300)
            )
    assert caught.value.code == "UNAVAILABLE"


async def test_an_answer_that_does_not_come_is_not_waited_for(cutting, far):
    _, address = await cutting(-1)
    async with Client(address, deadline=timedelta(milliseconds=200)) as client:
        with pytest.raises(RpcError) as caught:
            await client.create_many([far()])
    assert caught.value.reason == NO_ANSWER_IN_TIME
