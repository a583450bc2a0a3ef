"""The client for programs without asyncio, used from threads against a real server in another."""

from __future__ import annotations

import asyncio
import importlib.util
import inspect
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from later_core.client.client import Client
from later_core.client.errors import RpcError
from later_core.client.portal import PortalClosed
from later_core.client.sync import SyncClient
from later_core.model.instance import NewInstance
from later_core.model.state import State

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
async def threaded(serving) -> AsyncIterator[Callable[..., Any]]:
    """Run a function in a thread of its own, with a client that it opens."""

    async with serving() as address:

        async def run(work: Callable[[SyncClient], Any]) -> Any:
            def whole() -> Any:
                with SyncClient(address) as client:
                    return work(client)

            async with asyncio.timeout(60):
                return await asyncio.to_thread(whole)

        yield run


def test_it_is_fresh():
    spec = importlib.util.spec_from_file_location("facade", ROOT / "facade" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    generator = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generator)
    assert generator.is_fresh(), "run tox -e facade"
    methods = {name for name, _ in inspect.getmembers(Client) if not name.startswith("_")}
    assert methods - set(dir(SyncClient)) == generator.LEFT_OUT


async def test_calls_answer_and_raise(threaded, far):
    def work(client: SyncClient) -> None:
        created = client.create(far("x"))
        assert client.get("x") == created
        assert client.abort("x")[1] is State.PENDING
        with pytest.raises(RpcError) as caught:
            client.get("nobody")
        assert caught.value.reason == "INSTANCE_NOT_FOUND"
        ended = client.wait(client.create(NewInstance(task="echo", parameters=b"hi")).id)
        assert ended.result == b"hi"

    await threaded(work)


async def test_many_are_created_from_a_generator_that_uses_the_client_itself(threaded, far):
    def work(client: SyncClient) -> None:
        assert client.create_many(far(f"a-{n:04}") for n in range(1500)) == [
            f"a-{n:04}" for n in range(1500)
        ]

        def copies() -> Iterator[NewInstance]:
            for each in client.list(page_size=1000):
                yield far("b" + client.get(each.id).id)

        with closing(client.create_stream(copies())) as answers:
            assert all(isinstance(answer, str) for answer in answers)
        assert len(list(client.list(page_size=1000))) == 3000

    await threaded(work)


async def test_a_watch_is_a_plain_iterator_and_ends_on_the_server_when_it_is_closed(threaded, far):
    def work(client: SyncClient) -> None:
        with closing(client.watch()) as batches:
            next(batches)
            client.create(far("seen"))
            event = next(event for batch in batches for event in batch.events)
            assert event.instance.id == "seen"
        while client.stats().subscribers:
            pass  # each turn is a call to the server; the deadline above decides
        iterator = client.watch()
        next(iterator)
        del iterator  # not closed, only left
        while client.stats().subscribers:
            pass

    await threaded(work)


async def test_several_threads_use_one_client(threaded, far):
    def work(client: SyncClient) -> None:
        with ThreadPoolExecutor(8) as pool:
            made = list(pool.map(lambda n: client.create(far(f"x-{n}")).id, range(200)))
        assert sorted(each.id for each in client.list()) == sorted(made)

    await threaded(work)


async def test_closing_it_ends_what_other_threads_wait_for(threaded):
    ended: list[BaseException] = []
    begun = threading.Event()

    def work(client: SyncClient) -> threading.Thread:
        def watch() -> None:
            try:
                for _ in client.watch():
                    begun.set()
            except PortalClosed as error:
                ended.append(error)

        thread = threading.Thread(target=watch)
        thread.start()
        begun.wait(30)
        return thread

    thread = await threaded(work)
    await asyncio.to_thread(thread.join, 30)
    assert len(ended) == 1


async def test_outside_its_block_it_says_what_to_do(threaded):
    escaped = await threaded(lambda client: client)
    for outside in (escaped, SyncClient("127.0.0.1:1")):
        with pytest.raises(PortalClosed, match="inside its with block"):
            outside.get("x")
    with pytest.raises(RuntimeError, match="make another one"):
        escaped.__enter__()
    names = {thread.name for thread in threading.enumerate()}
    assert "later-client" not in names


async def test_a_callback_that_uses_the_client_is_told_that_it_cannot(serving):
    said: list[str] = []

    def use(client: SyncClient, told: threading.Event) -> None:
        def on_break(error: RpcError, pause: timedelta) -> None:
            try:
                client.get("x")
            except RuntimeError as wrong:
                said.append(str(wrong))
            told.set()

        try:
            for _ in client.watch(on_break=on_break):
                begun.set()
        except PortalClosed:
            pass

    told, begun = threading.Event(), threading.Event()
    async with serving() as address:
        client = await asyncio.to_thread(SyncClient(address).__enter__)
        thread = threading.Thread(target=use, args=[client, told])
        thread.start()
        await asyncio.to_thread(begun.wait, 30)
    await asyncio.to_thread(told.wait, 30)
    await asyncio.to_thread(client.__exit__)
    await asyncio.to_thread(thread.join, 30)
    assert said == ["a callback of the client cannot wait for the client"]
