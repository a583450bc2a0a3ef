"""A whole node behind a real gRPC server in this process, on the reference store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from typing import ClassVar

import pytest

from later_core.app import node
from later_core.app.access import access
from later_core.client.client import Client
from later_core.model.instance import Instance, NewInstance
from later_core.model.rate import RateLimit
from later_core.plugin.context import Context
from later_core.ports.clock import SystemClock
from later_core.ports.store import Store
from later_core.rpc.server import RpcServer
from later_core.rpc.transport import Transport
from later_core.settings import load
from later_core.stores.memory import MemoryStore
from later_core.testing.tasks import GivenTasks, RecordingTask

FAR = timedelta(hours=1)

Serving = Callable[..., AbstractAsyncContextManager[str]]


async def _fail(context: Context) -> None:
    raise RuntimeError("it broke")


async def _hang(context: Context) -> None:
    await asyncio.Event().wait()


class Described(RecordingTask):
    """A task that says what its parameters are."""

    description = "Says what it takes."
    parameters_schema: ClassVar = {"type": "object", "required": ["a"]}
    rate_limit = RateLimit(count=1000, burst=100)


@pytest.fixture
def store() -> Store:
    return MemoryStore(clock=SystemClock())


@pytest.fixture
def serving(store: Store) -> Serving:
    """Serve the store at an address; a second time it is a server started again."""

    @asynccontextmanager
    async def serve(
        listen: str = "127.0.0.1:0",
        transport: Transport | None = None,
        flags: Mapping[str, object] | None = None,
    ) -> AsyncIterator[str]:
        tasks = GivenTasks(
            RecordingTask(name="echo"),
            RecordingTask(_fail, name="broken"),
            RecordingTask(_hang, name="hang"),
            Described(name="described"),
        )
        stop = asyncio.Event()
        settings = load(flags or {})
        async with node(store, tasks, settings, SystemClock(), stop=stop) as parts:
            assert parts is not None
            server = RpcServer(
                listen=listen,
                instances=parts.instances,
                schedules=parts.schedules,
                subscriptions=parts.subscriptions,
                inventory=parts.inventory,
                nodes=parts.nodes,
                transfer=parts.transfer,
                access=access(settings, parts.access, SystemClock()),
                transport=transport or Transport(),
                grace=timedelta(seconds=1),
            )
            async with server:
                server.set_serving(True)
                yield server.address
                await parts.drain(timedelta(0))

    return serve


@pytest.fixture
async def client(serving: Serving) -> AsyncIterator[Client]:
    async with serving() as address, Client(address) as client:
        yield client


@pytest.fixture
def far() -> Callable[..., NewInstance]:
    """A request that nothing but the test touches: due in an hour."""

    def request(id: str | None = None, **fields: object) -> NewInstance:
        return NewInstance(**{"id": id, "task": "echo", "delay": FAR, **fields})

    return request


@pytest.fixture
def ended(client: Client) -> Callable[[str], object]:
    """Wait until an instance has ended, and answer it."""

    async def wait(id: str) -> Instance:
        async with asyncio.timeout(20):
            async for batch in client.watch(include_existing=True):
                for event in batch.events:
                    if event.instance and event.instance.id == id and event.instance.state.is_final:
                        return event.instance
        raise AssertionError

    return wait
