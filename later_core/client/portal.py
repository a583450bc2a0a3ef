"""From threads into an event loop and back: what the client for programs without asyncio stands on."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import AsyncGenerator, AsyncIterable, Coroutine, Generator, Iterable
from concurrent.futures import CancelledError
from itertools import islice
from typing import Any, TypeVar

_T = TypeVar("_T")

#: So many items are taken from an iterable at a time: it runs in a thread of its own meanwhile.
_TAKEN_AT_ONCE = 100
#: Only what has not begun takes longer: it then never does.
_CANCELLED_WITHIN_SECONDS = 2.0


class PortalClosed(RuntimeError):
    """The client was closed, or was never opened."""

    def __init__(self) -> None:
        super().__init__("the client is not open: use it inside its with block")


class Portal:
    """A thread with an event loop, which any other thread may let work. Opened once, closed once.

    Closing cancels what is under way: the threads that wait for it get ``PortalClosed``.
    """

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        #: What is handed to the loop is so before it is told to stop, or not at all: it would wait for ever.
        #: Reentrant, since the garbage collector may close what was iterated at any moment.
        self._handing = threading.RLock()
        #: Who asks for the next item of what is iterated.
        self._asking: dict[AsyncGenerator[Any], asyncio.Task[Any]] = {}

    def open(self) -> None:
        """Return once the loop runs."""
        if self._thread is not None:
            raise RuntimeError("a client is opened once; make another one")
        runs = threading.Event()
        self._thread = threading.Thread(
            target=self._run, args=[runs], name="later-client", daemon=True
        )
        self._thread.start()
        runs.wait()

    def close(self) -> None:
        """Return once the thread has ended."""
        with self._handing:
            loop, self._loop = self._loop, None
            if loop is not None:
                loop.call_soon_threadsafe(loop.stop)
        if loop is not None and self._thread is not None:
            self._thread.join()

    def _run(self, runs: threading.Event) -> None:
        # The runner cancels what is left, and closes the generators that nobody has closed.
        with asyncio.Runner() as runner:
            self._loop = loop = runner.get_loop()
            loop.call_soon(runs.set)
            loop.run_forever()

    def call(self, work: Coroutine[Any, Any, _T]) -> _T:
        """What the coroutine answers; when the waiting is interrupted (Ctrl-C) it is cancelled.

        Raises:
            PortalClosed: also when it was closed meanwhile.

        """
        if threading.current_thread() is self._thread:
            work.close()
            raise RuntimeError("a callback of the client cannot wait for the client")
        ended = threading.Event()
        with self._handing:
            if self._loop is None:
                work.close()
                raise PortalClosed
            future = asyncio.run_coroutine_threadsafe(_until_ended(work, ended), self._loop)
        try:
            return future.result()
        except CancelledError:
            raise PortalClosed from None
        except BaseException:
            future.cancel()
            # What was iterated can be closed only once it no longer waits.
            ended.wait(_CANCELLED_WITHIN_SECONDS)
            raise
        finally:
            # Cancelled before its first step nothing has awaited it, and nothing ever will.
            if inspect.getcoroutinestate(work) == inspect.CORO_CREATED:
                work.close()

    def iterate(self, source: AsyncGenerator[_T]) -> Generator[_T]:
        """The items as they come. One that is left early is closed when it is no longer referred to."""
        try:
            while True:
                try:
                    item = self.call(self._next(source))
                except StopAsyncIteration:
                    return
                yield item
        finally:
            self._leave(source)

    def _leave(self, source: AsyncGenerator[_T]) -> None:
        loop = self._loop
        if loop is None:
            return  # closing the loop has closed it
        if threading.current_thread() is self._thread:
            # A garbage collection that ran here must not wait for the loop which it holds up.
            loop.call_soon(self._close_soon, source, loop)
            return
        self.call(self._close(source))

    async def _next(self, source: AsyncGenerator[_T]) -> _T:
        asking = asyncio.current_task()
        assert asking is not None
        self._asking[source] = asking
        try:
            return await anext(source)
        finally:
            del self._asking[source]

    def _close_soon(self, source: AsyncGenerator[Any], loop: asyncio.AbstractEventLoop) -> None:
        asyncio.run_coroutine_threadsafe(self._close(source), loop)

    async def _close(self, source: AsyncGenerator[Any]) -> None:
        # Ctrl-C may come when an item has been asked for and nobody waits for it yet, to cancel it.
        while (asking := self._asking.get(source)) is not None:
            asking.cancel()
            await asyncio.wait({asking})
        await source.aclose()


async def _until_ended(work: Coroutine[Any, Any, _T], ended: threading.Event) -> _T:
    try:
        return await work
    finally:
        ended.set()


async def feed(items: Iterable[_T] | AsyncIterable[_T]) -> AsyncGenerator[_T]:
    """The items, taken in another thread, where an iterable may wait and may itself use the client."""
    if isinstance(items, AsyncIterable):
        async for item in items:
            yield item
        return
    iterator = iter(items)
    while some := await asyncio.to_thread(lambda: list(islice(iterator, _TAKEN_AT_ONCE))):
        for item in some:
            yield item
