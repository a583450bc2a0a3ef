"""How steps of the start wait for the database, and how loops live for the length of a block."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

import structlog

from later_core.engine.dispatcher import Dispatcher
from later_core.engine.supervisor import backoff, supervise
from later_core.errors import StoreUnavailable
from later_core.local.health import Health
from later_core.ports.clock import Clock

_log = structlog.get_logger(__name__)


@asynccontextmanager
async def run_loops(
    loops: Mapping[str, Callable[[], Awaitable[None]]], clock: Clock
) -> AsyncIterator[None]:
    """Run loops for the length of the block."""
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(supervise(name, loop, clock), name=name)
            for name, loop in loops.items()
        ]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()


async def patiently(
    name: str,
    step: Callable[[], Awaitable[None]],
    clock: Clock,
    stop: asyncio.Event,
    *,
    remedy: str = "",
) -> bool:
    """Try a step of the start until the database answers; False when stopped before. ``remedy`` is what
    a person may do about it.
    """
    failures = 0
    advice = {"remedy": remedy} if remedy else {}
    while True:
        try:
            await step()
        except StoreUnavailable as error:
            failures += 1
            _log.warning("waiting for the database", step=name, detail=error.detail, **advice)
            if await clock.wait(stop, backoff(failures)):
                return False
        else:
            return True


async def dispatch(dispatcher: Dispatcher, health: Health, clock: Clock) -> None:
    """Keep the dispatcher going until it stops; the node serves only while it runs."""

    async def run() -> None:
        health.loop_runs(True)
        try:
            await dispatcher.run()
        finally:
            health.loop_runs(False)

    await supervise("dispatcher", run, clock)
