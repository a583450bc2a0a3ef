"""The threads shared out among tasks, so that none of them can take all."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import ParamSpec, Self, TypeVar

from later_core.engine.threads import Threads

P = ParamSpec("P")
T = TypeVar("T")


class Shares:
    """Lends the threads of a pool to tasks.

    A task may have three quarters of the threads that no other task has, and always one of those that are
    free. So what a task whose functions never return leaves is enough for others, and for others again.
    Calls of one task wait for its own share, and hold up nobody else's.
    """

    def __init__(self, *, limit: int) -> None:
        self._limit = limit
        self._threads = Threads(limit=limit)
        self._lock = threading.Lock()
        self._busy: Counter[str] = Counter()
        #: By task, in the order in which tasks have had their turn.
        self._waiting: dict[str, deque[Callable[[], None]]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()

    def of(self, task: str) -> Executor:
        """The task's share, as whatever runs calls."""
        return _Share(self, task)

    def shutdown(self) -> None:
        """Let each thread end once it is free. Never waits; whoever submitted cancels."""
        self._threads.shutdown()

    def enter(self, task: str, start: Callable[[], None]) -> None:
        """Start it in a thread of the task's share, now or when one is free."""
        with self._lock:
            self._waiting.setdefault(task, deque()).append(start)
            self._lend()

    def leave(self, task: str) -> None:
        """A call of the task has ended, or will never begin. Called by any thread."""
        with self._lock:
            self._busy[task] -= 1
            if not self._busy[task]:
                del self._busy[task]
            self._lend()

    def submit(self, call: Callable[[], None]) -> None:
        """Give a call that has been lent a thread to the pool."""
        self._threads.submit(call)

    def _lend(self) -> None:
        for task in tuple(self._waiting):
            waiting = self._waiting.pop(task)
            while waiting and self._may_begin(task):
                self._busy[task] += 1
                waiting.popleft()()
            if waiting:
                self._waiting[task] = waiting

    def _may_begin(self, task: str) -> bool:
        busy, own = self._busy.total(), self._busy[task]
        return busy < self._limit and own < max(1, (self._limit - busy + own) * 3 // 4)


class _Share(Executor):
    def __init__(self, shares: Shares, task: str) -> None:
        self._shares = shares
        self._task = task

    def submit(self, call: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """As ``Threads.submit``, once the task's share has a thread."""
        future: Future[T] = Future()

        def carry() -> None:
            result: T | None = None
            failure: BaseException | None = None
            try:
                if not future.set_running_or_notify_cancel():
                    return
                try:
                    result = call(*args, **kwargs)
                except BaseException as error:  # noqa: BLE001 - it belongs to whoever waits for the future
                    failure = error
            finally:
                # Before anybody hears of the end: who waited for it finds the thread free.
                self._shares.leave(self._task)
            if failure is not None:
                future.set_exception(failure)
            else:
                future.set_result(result)  # type: ignore[arg-type]  # a result, where there is no failure

        self._shares.enter(self._task, lambda: self._shares.submit(carry))
        return future
