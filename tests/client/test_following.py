"""A watch that comes back by itself."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import UTC, datetime, timedelta

import pytest

from later_core.client.client import Client
from later_core.client.errors import RpcError
from later_core.client.following import follow
from later_core.model.event import Event, EventBatch, EventType
from later_core.model.instance import NewInstance
from later_core.model.state import State
from later_core.testing.clock import FakeClock


async def test_events_of_the_time_without_a_server_are_told_once_it_is_back(serving, far):
    breaks: list[RpcError] = []
    seen: list[tuple[str, int]] = []
    broken = asyncio.Event()

    def on_break(error: RpcError, _: object) -> None:
        breaks.append(error)
        broken.set()

    async def read(client: Client, created: asyncio.Event) -> None:
        async with aclosing(client.watch(on_break=on_break)) as batches:
            async for batch in batches:
                created.set()
                seen.extend((each.instance.id, each.instance.revision) for each in batch.events)
                if ("last", 1) in seen:
                    return

    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        started = asyncio.Event()
        async with serving() as address:
            follower = Client(address)
            await follower.__aenter__()
            group.create_task(read(follower, started))
            await started.wait()
            async with Client(address) as client:
                await client.create(far("first"))
        await broken.wait()
        async with serving(address), Client(address) as client:
            await client.create(far("between"))
            await client.abort("between")
            await client.create(far("last"))
            while ("last", 1) not in seen:
                await client.health()
        await follower.__aexit__()
    assert seen == [("first", 1), ("between", 1), ("between", 2), ("last", 1)]
    assert {error.code for error in breaks} == {"UNAVAILABLE"}


async def test_the_first_connection_must_succeed():
    async with Client("127.0.0.1:1") as client:
        with pytest.raises(RpcError, match="later serve"):
            await anext(client.watch())


async def test_a_token_of_another_server_is_refused_at_once(client: Client):
    with pytest.raises(RpcError) as caught:
        await anext(client.watch(resume_token="what?"))
    assert caught.value.reason == "RESUME_TOKEN_INVALID"


async def test_leaving_it_ends_the_watch(client: Client):
    async with asyncio.timeout(20):
        async with aclosing(client.watch()) as batches:
            await anext(batches)
        while (await client.stats()).subscribers:
            pass  # each turn is a call to the server; the deadline above decides


async def test_an_instance_is_followed_to_its_end(client: Client):
    created = await client.create(NewInstance(task="echo", parameters=b"hi"))
    async with asyncio.timeout(20):
        assert (await client.wait(created.id)).result == b"hi"
        # Once more: it has ended before the watch begins.
        assert (await client.wait(created.id)).result == b"hi"


async def test_waiting_for_nobody_fails_and_waiting_for_long_ends(client: Client, far):
    with pytest.raises(RpcError) as caught:
        await client.wait("nobody")
    assert caught.value.reason == "INSTANCE_NOT_FOUND"
    await client.create(far("slow"))
    with pytest.raises(TimeoutError):
        await client.wait("slow", timeout=timedelta(milliseconds=300))


async def test_waiting_goes_on_with_a_server_that_is_started_again(serving):
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        async with serving() as address:
            follower = await entered(Client(address))
            async with Client(address) as client:
                await client.create(NewInstance(task="echo", id="x", delay=timedelta(seconds=3)))
                waiting = group.create_task(follower.wait("x"))
                while not (await client.stats()).subscribers:
                    pass  # each turn is a call to the server; the deadline above decides
        async with serving(address):
            assert (await waiting).state is State.SUCCEEDED
        await follower.__aexit__()


async def entered(client: Client) -> Client:
    """Open it, for longer than the block around."""
    return await client.__aenter__()


class Scripted:
    """Streams that are given, one after the other, and what was asked for."""

    def __init__(self, *streams: list[EventBatch | RpcError]) -> None:
        self.streams = list(streams)
        self.asked: list[tuple[str | None, bool]] = []

    async def __call__(self, token: str | None, *, anew: bool) -> AsyncGenerator[EventBatch]:
        self.asked.append((token, anew))
        for each in self.streams.pop(0):
            if isinstance(each, RpcError):
                raise each
            yield each


RESYNC = Event(
    type=EventType.RESYNC, instance=None, event_time=datetime(2500, 1, 1, tzinfo=UTC), position="9"
)


class Immediate(FakeClock):
    async def sleep(self, seconds: float) -> None:
        """At once."""


@pytest.mark.parametrize(
    ("include_existing", "asked"),
    [(True, [(None, True), (None, True)]), (False, [(None, False), ("9", False)])],
)
async def test_after_a_resync_what_exists_is_told_anew_where_it_was_asked_for(
    include_existing: bool, asked
):
    lost = EventBatch([RESYNC], "9")
    script = Scripted(
        [
            EventBatch([], "1"),
            lost,
            *([] if include_existing else [RpcError("UNAVAILABLE", "cut")]),
        ],
        [EventBatch([], "11"), RpcError("INTERNAL", "the end of the test")],
    )
    batches = follow(
        script,
        resume_token=None,
        include_existing=include_existing,
        on_break=lambda error, pause: None,
        clock=Immediate(),
    )
    told = [await anext(batches) for _ in range(3)]
    with pytest.raises(RpcError, match="the end of the test"):
        await anext(batches)
    assert script.asked == asked
    assert lost in told
