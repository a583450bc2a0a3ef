"""Many creates through a stream: a few batches under way at a time, and again what got lost."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import grpc
from uuid_utils import uuid7

from later_core.client.errors import NO_ANSWER_IN_TIME, RpcError, from_status
from later_core.model.instance import NewInstance
from later_core.model.limits import BATCH_MAX_REQUESTS, RESPONSE_MAX_BYTES
from later_core.ports.clock import Clock, SystemClock
from later_core.rpc.convert import to_new_instance
from later_core.rpc.v1 import later_pb2 as pb

#: How long creating goes on without an answer: longer than a node takes to start, or to be missed.
PATIENCE = timedelta(seconds=30)

#: As many as the server works on at a time. It takes each before it is sent the next one, so that
#: neither waits for the other while an answer is read.
_IN_FLIGHT = 4
_FIRST_PAUSE_SECONDS = 0.1
_LONGEST_PAUSE_SECONDS = 2.0

_Batch = pb.StreamCreateInstancesRequest
Call = grpc.aio.StreamStreamCall[_Batch, pb.StreamCreateInstancesResponse]


def with_id(request: NewInstance) -> NewInstance:
    """The request with an id, by which the server recognizes a repetition."""
    return request if request.id else replace(request, id=str(uuid7()))


async def in_batches(
    requests: Iterable[NewInstance] | AsyncIterable[NewInstance],
) -> AsyncGenerator[Sequence[NewInstance]]:
    """With ids, cut at the server's bounds: so many requests, and so many bytes, in one message."""
    batch: list[NewInstance] = []
    size = 0
    async for request in _each(requests):
        full = size + len(request.parameters) > RESPONSE_MAX_BYTES
        if batch and (full or len(batch) == BATCH_MAX_REQUESTS):
            yield batch
            batch, size = [], 0
        batch.append(with_id(request))
        size += len(request.parameters)
    if batch:
        yield batch


async def _each(
    requests: Iterable[NewInstance] | AsyncIterable[NewInstance],
) -> AsyncGenerator[NewInstance]:
    if isinstance(requests, AsyncIterable):
        async for request in requests:
            yield request
    else:
        for request in requests:
            yield request


class Creating:
    """One run of batches through as many streams as it takes.

    ``deadline`` bounds each answer, ``patience`` the time without any, both in seconds.
    """

    def __init__(
        self,
        open_call: Callable[[], Call],
        *,
        explain: Callable[[grpc.aio.AioRpcError], Awaitable[RpcError]],
        deadline: float,
        patience: float,
        clock: Clock | None = None,
    ) -> None:
        self._open = open_call
        self._explain = explain
        self._deadline = deadline
        self._patience = patience
        self._clock = clock or SystemClock()
        self._unanswered: deque[_Batch] = deque()
        self._heard_at: float | None = None

    async def answers(
        self, batches: AsyncGenerator[Sequence[NewInstance]]
    ) -> AsyncGenerator[str | RpcError]:
        """Of each request the id or the error, in their order.

        Raises:
            RpcError: the first connection failed, no server answers, or one refuses a batch.

        """
        pause = _FIRST_PAUSE_SECONDS
        while True:
            call = self._open()
            try:
                async for answer in self._through(call, batches):
                    pause = _FIRST_PAUSE_SECONDS
                    yield answer
            except (grpc.aio.AioRpcError, RpcError) as failure:
                error = failure if isinstance(failure, RpcError) else await self._explain(failure)
                if not self._may_go_on(error):
                    raise error from None
            else:
                return
            finally:
                call.cancel()
            await self._clock.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)

    def _may_go_on(self, error: RpcError) -> bool:
        if error.code != "UNAVAILABLE" or self._heard_at is None:
            return False
        return self._clock.monotonic() - self._heard_at < self._patience

    async def _through(
        self, call: Call, batches: AsyncGenerator[Sequence[NewInstance]]
    ) -> AsyncGenerator[str | RpcError]:
        """Send and read by turns: first what an earlier stream left unanswered."""
        for batch in self._unanswered:
            await _send(call, batch)
        is_done = False
        while True:
            while not is_done and len(self._unanswered) < _IN_FLIGHT:
                requests = await anext(batches, None)
                if requests is None:
                    is_done = True
                    with suppress(asyncio.InvalidStateError):
                        await call.done_writing()
                else:
                    batch = _Batch(requests=map(to_new_instance, requests))
                    self._unanswered.append(batch)
                    await _send(call, batch)
            if not self._unanswered:
                return
            for answer in await self._answer(call):
                yield answer

    async def _answer(self, call: Call) -> Sequence[str | RpcError]:
        try:
            async with asyncio.timeout(self._deadline):
                response = await call.read()
        except TimeoutError:
            raise RpcError(
                "DEADLINE_EXCEEDED",
                "the server did not answer in time; it may have done what it was asked",
                reason=NO_ANSWER_IN_TIME,
            ) from None
        if not isinstance(response, pb.StreamCreateInstancesResponse):
            raise RpcError("UNAVAILABLE", "the server ended the stream")
        self._unanswered.popleft()
        self._heard_at = self._clock.monotonic()
        answers: list[str | RpcError] = list(response.ids)
        for failure in response.failures:
            answers[failure.index] = from_status(failure.error)
        return answers


async def _send(call: Call, batch: _Batch) -> None:
    try:
        await call.write(batch)
    except asyncio.InvalidStateError:
        pass  # it has failed meanwhile, and the next read says why
    except grpc.aio.AioRpcError as error:
        if error.code() is not grpc.StatusCode.INTERNAL:
            raise
        # gRPC was cut off in the midst of it, and no longer knows by what.
        raise RpcError("UNAVAILABLE", "the connection broke while a batch was sent") from None
