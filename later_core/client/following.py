"""A watch that comes back by itself, and an instance followed to its end."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from datetime import timedelta
from typing import Protocol

from later_core.client.errors import RpcError
from later_core.model.event import EventBatch, EventType
from later_core.model.instance import Instance
from later_core.ports.clock import Clock

_FIRST_PAUSE = timedelta(milliseconds=500)
_LONGEST_PAUSE = timedelta(seconds=30)
_PASSING = frozenset({"CLIENT_STALLED", "SUBSCRIBER_TOO_SLOW", "TOO_MANY_WATCHES"})


class Begin(Protocol):
    """Opens one stream behind a token, or ``anew``: with what exists in front."""

    def __call__(self, token: str | None, *, anew: bool) -> AsyncGenerator[EventBatch]: ...


async def follow(
    begin: Begin,
    *,
    resume_token: str | None,
    include_existing: bool,
    on_break: Callable[[RpcError, timedelta], None],
    clock: Clock,
) -> AsyncGenerator[EventBatch]:
    """What ``Client.watch`` promises, of streams that end."""
    token = resume_token
    pause = _FIRST_PAUSE
    was_heard = False
    while True:
        broken = RpcError("UNAVAILABLE", "the server ended the stream")
        try:
            async with aclosing(begin(token, anew=include_existing and not token)) as batches:
                async for batch in batches:
                    was_heard, pause = True, _FIRST_PAUSE
                    token = batch.position or token
                    yield batch
                    if include_existing and _is_lost(batch):
                        token = None
                        broken = RpcError("DATA_LOSS", "the history in between is lost")
                        break
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


def _is_lost(batch: EventBatch) -> bool:
    return any(event.type is EventType.RESYNC for event in batch.events)


async def until_ended(
    id: str,
    batches: AsyncGenerator[EventBatch],
    *,
    read: Callable[[str], Awaitable[Instance]],
) -> Instance:
    """The instance once it has ended, as a watch tells it that does not end by itself."""
    must_read = True
    async with aclosing(batches):
        async for batch in batches:
            must_read |= _is_lost(batch)
            for event in batch.events:
                instance = event.instance
                if instance and instance.id == id and instance.state.is_final:
                    return instance
            if must_read:
                # Only after the watch has begun: what ended before it is read, the rest is heard.
                try:
                    instance = await read(id)
                except RpcError as error:
                    if not _passes(error):
                        raise
                    continue  # the next batch comes when the server is back
                if instance.state.is_final:
                    return instance
                must_read = False
    raise AssertionError("a watch does not end by itself")
