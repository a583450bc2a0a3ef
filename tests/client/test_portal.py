"""Between threads and an event loop: what is under way when the loop ends is told so, and leaves nothing."""

from __future__ import annotations

import asyncio
import inspect
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from later_core.client.portal import Portal, PortalClosed

SECONDS = 20


async def nothing() -> None:
    pass


async def blocked(holds: threading.Event, goes_on: threading.Event) -> None:
    holds.set()
    goes_on.wait(SECONDS)  # and the whole loop with it


def test_what_is_handed_over_just_before_the_end_is_told_so_and_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    portal = Portal()
    portal.open()
    holds, goes_on, handed = threading.Event(), threading.Event(), threading.Event()
    work = nothing()
    hand_over = asyncio.run_coroutine_threadsafe

    def noted(coroutine: Any, loop: asyncio.AbstractEventLoop) -> Any:
        future = hand_over(coroutine, loop)
        if holds.is_set():
            handed.set()
        return future

    monkeypatch.setattr(asyncio, "run_coroutine_threadsafe", noted)
    with ThreadPoolExecutor(3) as threads:
        threads.submit(portal.call, blocked(holds, goes_on))
        assert holds.wait(SECONDS)
        called = threads.submit(portal.call, work)
        assert handed.wait(SECONDS)
        closing = threads.submit(portal.close)
        while not is_told_to_stop(portal):
            pass
        goes_on.set()
        closing.result(SECONDS)
        with pytest.raises(PortalClosed):
            called.result(SECONDS)
    assert inspect.getcoroutinestate(work) == inspect.CORO_CLOSED


def is_told_to_stop(portal: Portal) -> bool:
    with portal._handing:
        return portal._loop is None


def test_what_comes_after_the_end_is_told_so_and_closed() -> None:
    portal = Portal()
    portal.open()
    portal.close()
    work = nothing()
    with pytest.raises(PortalClosed):
        portal.call(work)
    assert inspect.getcoroutinestate(work) == inspect.CORO_CLOSED


def test_ctrl_c_in_the_moment_in_which_an_item_is_asked_for_leaves_nothing_behind(monkeypatch):
    closed = threading.Event()

    async def endless():
        try:
            yield 1
            await asyncio.Event().wait()
        finally:
            closed.set()

    portal = Portal()
    portal.open()
    hand_over = asyncio.run_coroutine_threadsafe

    def interrupted(work, loop):
        monkeypatch.undo()
        hand_over(work, loop)
        raise KeyboardInterrupt

    items = portal.iterate(endless())
    assert next(items) == 1
    monkeypatch.setattr(asyncio, "run_coroutine_threadsafe", interrupted)
    with pytest.raises(KeyboardInterrupt):
        next(items)
    assert closed.is_set()
    portal.close()
