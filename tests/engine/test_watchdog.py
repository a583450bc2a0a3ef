"""A task that blocks the event loop is noticed while it does, and named."""

import asyncio
import time

import structlog

from later_core.engine.watchdog import Watchdog
from later_core.ports.clock import SystemClock


async def _block_until_noticed(logs):
    """Hold the loop, as no task should, until the watchdog has said so."""
    give_up_at = time.perf_counter() + 10
    while not logs and time.perf_counter() < give_up_at:
        pass


async def test_a_blocked_loop_is_logged_with_the_name_of_the_run_and_the_place_in_its_code():
    clock = SystemClock()
    with structlog.testing.capture_logs() as logs:
        async with Watchdog(clock=clock, threshold=0.2) as watchdog, asyncio.TaskGroup() as group:
            ticking = group.create_task(watchdog.run())
            await clock.sleep(0)
            culprit = group.create_task(_block_until_noticed(logs), name="report 42")
            await culprit
            while len(logs) < 2:
                await clock.sleep(0.01)
            ticking.cancel()
    blocked, free = logs[:2]
    assert (blocked["event"], blocked["by"]) == ("event loop blocked", "report 42")
    assert any("_block_until_noticed" in place for place in blocked["at"])
    assert (free["event"], free["by"]) == ("event loop free again", "report 42")
    assert free["blocked_seconds"] >= 0.1


async def test_a_busy_loop_that_still_turns_is_left_in_peace():
    clock = SystemClock()
    with structlog.testing.capture_logs() as logs:
        async with Watchdog(clock=clock, threshold=5.0) as watchdog, asyncio.TaskGroup() as group:
            ticking = group.create_task(watchdog.run())
            for _ in range(2000):
                await clock.sleep(0)
            ticking.cancel()
    assert logs == []


async def test_the_longest_hold_up_is_told_once():
    clock = SystemClock()
    async with Watchdog(clock=clock) as watchdog, asyncio.TaskGroup() as group:
        ticking = group.create_task(watchdog.run())
        await clock.sleep(0.06)
        watchdog.take_longest()
        time.sleep(0.3)  # noqa: ASYNC251, TID251 -- what a task must not do
        await clock.sleep(0.1)
        assert watchdog.take_longest() >= 0.2
        held_on = time.perf_counter() + 0.3
        while time.perf_counter() < held_on:
            pass
        # Also while it lasts.
        assert watchdog.take_longest() >= 0.2
        ticking.cancel()
