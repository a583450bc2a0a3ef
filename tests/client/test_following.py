"""A watch that comes back by itself."""

import asyncio
from contextlib import aclosing

import pytest

from later_core.client.client import Client
from later_core.client.errors import RpcError
from later_core.client.following import follow
from later_core.model.instance import NewInstance


async def test_events_of_the_time_without_a_server_are_told_once_it_is_back(serving, far):
    breaks: list[RpcError] = []
    seen: list[tuple[str, int]] = []
    broken = asyncio.Event()

    def on_break(error: RpcError, _: object) -> None:
        breaks.append(error)
        broken.set()

    async def read(client: Client, created: asyncio.Event) -> None:
        async with aclosing(follow(client, on_break=on_break)) as batches:
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
            await anext(follow(client))


async def test_a_token_of_another_server_is_refused_at_once(client: Client):
    with pytest.raises(RpcError) as caught:
        await anext(follow(client, resume_token="what?"))
    assert caught.value.reason == "RESUME_TOKEN_INVALID"


async def test_leaving_it_ends_the_watch(client: Client):
    async with asyncio.timeout(20):
        async with aclosing(follow(client)) as batches:
            await anext(batches)
        while (await client.stats()).subscribers:
            pass  # each turn is a call to the server; the deadline above decides


async def test_an_instance_is_followed_to_its_end(client: Client):
    from later_core.cli.waiting import wait_for_end

    created = await client.create(NewInstance(task="echo", parameters=b"hi"))
    async with asyncio.timeout(20):
        assert (await wait_for_end(client, created)).result == b"hi"
        # Once more: it has ended before the watch begins.
        assert (await wait_for_end(client, created)).result == b"hi"
