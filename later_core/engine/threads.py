"""The threads in which plain functions of plugins run."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

_Call = Callable[[], None]


class Threads(Executor):
    """A bounded pool that does not keep the process alive.

    Nobody can stop a thread. Python's own ``ThreadPoolExecutor`` is waited for at the exit of the
    process, so that one function without end would keep the server from ever ending; these are
    daemon threads, and go with the process. Threads are begun as they are needed.
    """

    def __init__(self, *, limit: int) -> None:
        self._limit = limit
        self._calls: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()
        self._idle = threading.Semaphore(0)
        self._count = 0

    def submit(self, call: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Run the call once a thread is free; never called by two threads at once."""
        future: Future[T] = Future()

        def carry() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                result = call(*args, **kwargs)
            except BaseException as error:  # noqa: BLE001 - it belongs to whoever waits for the future
                future.set_exception(error)
            else:
                future.set_result(result)

        self._calls.put(carry)
        if not self._idle.acquire(blocking=False) and self._count < self._limit:
            self._count += 1
            threading.Thread(
                target=self._work, name=f"later-task-{self._count}", daemon=True
            ).start()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Let each thread end once it is free. Never waits; whoever submitted cancels."""
        for _ in range(self._count):
            self._calls.put(None)

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            call()
            del call  # holds the parameters of its instance
            self._idle.release()
