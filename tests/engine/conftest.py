"""A whole node without its gRPC server, on the fake clock and the reference store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from later_core.app import RunningNode, node
from later_core.model.instance import Instance, NewInstance
from later_core.plugin.task import Task
from later_core.ports.observer import Observer
from later_core.ports.store import Store
from later_core.settings import load
from later_core.stores.memory import MemoryStore
from later_core.testing.clock import FakeClock
from later_core.testing.tasks import GivenTasks


@dataclass(kw_only=True)
class Bench:
    """A running node, and time in the hand of the test."""

    clock: FakeClock
    store: Store
    parts: RunningNode

    async def create(self, id: str | None = None, *, delay: float = 0.0, **fields: Any) -> Instance:
        fields.setdefault("task", "record")
        request = NewInstance(id=id, delay=timedelta(seconds=delay), **fields)
        return await self.parts.instances.create(request)

    async def get(self, id: str) -> Instance:
        return await self.parts.instances.get(id)


async def _pass_time(clock: FakeClock) -> None:
    while True:
        await clock.advance(0.1)


Running = Callable[..., AbstractAsyncContextManager[Bench]]


@pytest.fixture
def running() -> Running:
    @asynccontextmanager
    async def start(
        *tasks: Task,
        store: Store | None = None,
        clock: FakeClock | None = None,
        observer: Observer | None = None,
        **settings: Any,
    ) -> AsyncIterator[Bench]:
        clock = clock or FakeClock()
        store = store or MemoryStore(clock=clock)
        stop = asyncio.Event()
        async with node(
            store, GivenTasks(*tasks), load(settings), clock, stop=stop, observer=observer
        ) as parts:
            assert parts is not None
            await clock.settle()
            try:
                yield Bench(clock=clock, store=store, parts=parts)
            finally:
                # A node among others takes its time to leave: it must pass.
                async with asyncio.TaskGroup() as group:
                    passing = group.create_task(_pass_time(clock))
                    await parts.drain(timedelta())
                    passing.cancel()

    return start
