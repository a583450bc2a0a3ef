"""A stream of requests answered a few at once, with the answers in their order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

import grpc

from later_core.errors import LaterError

_Request = TypeVar("_Request")
_Response = TypeVar("_Response")

_Failure = LaterError | grpc.aio.BaseError


async def answer_in_order(
    requests: AsyncIterator[_Request],
    answer: Callable[[_Request], Awaitable[_Response]],
    send: Callable[[_Response], Awaitable[None]],
    *,
    in_flight: int,
) -> None:
    """Answer every request and send the answers in the order of the requests.

    At most ``in_flight`` requests are held at a time; the next one is read only when an answer has
    been sent. At the first error, of the stream or of an answer, the answers before it are still
    sent; those behind it are carried out as far as they have begun, unsent. Cancellation drops
    everything.

    Raises:
        LaterError: the first one, in the order of the requests.
        grpc.aio.BaseError: the client has gone.

    """
    free = asyncio.Semaphore(in_flight)
    # Holds what was asked and not yet sent, and one entry for the end: never more than this.
    answers: asyncio.Queue[asyncio.Task[_Response | LaterError] | _Failure | None]
    answers = asyncio.Queue(in_flight + 1)
    failure: _Failure | None = None

    async def one(request: _Request) -> _Response | LaterError:
        try:
            return await answer(request)
        except LaterError as error:
            return error

    async with asyncio.TaskGroup() as group:

        async def read() -> None:
            end: _Failure | None = None
            try:
                await free.acquire()
                async for request in requests:
                    answers.put_nowait(group.create_task(one(request)))
                    await free.acquire()
            except (LaterError, grpc.aio.BaseError) as error:
                end = error
            answers.put_nowait(end)

        reader = group.create_task(read())
        while (entry := await answers.get()) is not None:
            result = await entry if isinstance(entry, asyncio.Task) else entry
            if isinstance(result, LaterError | grpc.aio.BaseError):
                failure = result
                reader.cancel()
                break
            try:
                await send(result)
            except grpc.aio.BaseError as error:  # the client has gone
                failure = error
                reader.cancel()
                break
            free.release()
    if failure is not None:
        raise failure
