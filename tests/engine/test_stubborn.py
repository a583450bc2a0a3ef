"""A node comes to rest in bounded time, whatever still runs in it."""

import asyncio
from contextlib import AsyncExitStack
from datetime import timedelta

import pytest

from later_core.model.state import State
from later_core.stores.memory import MemoryStore
from later_core.testing.clock import FakeClock
from later_core.testing.tasks import RecordingTask


@pytest.mark.parametrize("callback", ["on_success", "on_fail", "on_abort"])
async def test_a_callback_without_end_does_not_hold_up_the_shutdown(running, callback):
    clock = FakeClock()
    store = MemoryStore(clock=clock)
    stopped = []

    async def body(_context):
        if callback == "on_fail":
            raise ValueError("broken")

    async def endless(*_):
        try:
            await clock.sleep(100_000)
        finally:
            stopped.append(callback)

    task = RecordingTask(body)
    setattr(task, callback, endless)
    async with AsyncExitStack() as stack:
        bench = await stack.enter_async_context(running(task, store=store, clock=clock))
        await bench.create("a", delay=5 if callback == "on_abort" else 0)
        if callback == "on_abort":
            await bench.parts.instances.abort("a")
        await clock.advance(1)
        assert stopped == []
        began = clock.monotonic()
        async with asyncio.TaskGroup() as group:
            drained = group.create_task(bench.parts.drain(timedelta(seconds=3)))
            await clock.advance(20)
            assert drained.done()
        assert stopped == [callback]
        assert clock.monotonic() - began <= 20


async def test_code_that_needs_to_be_told_twice_to_stop_is_told_twice(running):
    clock = FakeClock()
    store = MemoryStore(clock=clock)
    told = []

    async def body(_context):
        while len(told) < 2:
            try:
                await clock.sleep(100_000)
            except asyncio.CancelledError:
                told.append(clock.monotonic())

    async with running(RecordingTask(body), store=store, clock=clock) as bench:
        await bench.create("a")
        await clock.advance(1)
        async with asyncio.TaskGroup() as group:
            drained = group.create_task(bench.parts.drain(timedelta(seconds=3)))
            await clock.advance(20)
            assert drained.done()
    assert len(told) == 2
    found = await store.get("a")
    assert found is not None
    assert found.state is State.PENDING
