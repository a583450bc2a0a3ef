"""A watch that comes back by itself."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from datetime import timedelta

from later_core.client.client import EVERYTHING, Client
from later_core.client.errors import RpcError
from later_core.model.event import EventBatch
from later_core.model.query import Filter
from later_core.ports.clock import Clock, SystemClock

_FIRST_PAUSE = timedelta(milliseconds=500)
_LONGEST_PAUSE = timedelta(seconds=30)
_PASSING = frozenset({"SUBSCRIBER_TOO_SLOW", "TOO_MANY_WATCHES"})


async def follow(
    client: Client,
    filter: Filter = EVERYTHING,
    *,
    resume_token: str | None = None,
    include_existing: bool = False,
    on_break: Callable[[RpcError, timedelta], None] = lambda error, pause: None,
    clock: Clock | None = None,
) -> AsyncGenerator[EventBatch]:
    """As ``Client.watch``, and again with the last token when the stream breaks.

    What breaks a stream and is mended by coming back: the server or its database away, this
    subscriber too slow, or too many of them. ``on_break`` is told why and how long the pause is;
    pauses double up to half a minute, until something arrives. A stream that broke while what
    exists was still being sent begins anew, and its EXISTING events come again.

    Raises:
        RpcError: the very first connection failed, or coming back cannot help.

    """
    clock = clock or SystemClock()
    token = resume_token
    pause = _FIRST_PAUSE
    was_heard = False
    while True:
        begins_anew = include_existing and not token
        try:
            async with aclosing(
                client.watch(filter, resume_token=token, include_existing=begins_anew)
            ) as batches:
                async for batch in batches:
                    was_heard, pause = True, _FIRST_PAUSE
                    token = batch.position or token
                    yield batch
            broken = RpcError("UNAVAILABLE", "the server ended the stream")
        except RpcError as error:
            if not was_heard or not _passes(error):
                raise
            token = error.metadata.get("resume_token") or token
            broken = error
        on_break(broken, pause)
        await clock.sleep(pause.total_seconds())
        pause = min(pause * 2, _LONGEST_PAUSE)


def _passes(error: RpcError) -> bool:
    return error.code == "UNAVAILABLE" or error.reason in _PASSING
