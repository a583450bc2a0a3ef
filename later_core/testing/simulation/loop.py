"""An event loop in which nothing comes from outside: no sockets, no threads, no real time.

So one seed gives one history, and no system call slows it down.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeVar

Answer = TypeVar("Answer")


def run(main: Callable[[], Coroutine[Any, Any, Answer]]) -> Answer:
    """Run the coroutine on a loop of its own and answer what it returns.

    Raises:
        RuntimeError: everybody waits, and nobody is left who could wake anybody.

    """
    with asyncio.Runner(loop_factory=_new_loop) as runner:
        return runner.run(main())


def _new_loop() -> asyncio.AbstractEventLoop:
    return asyncio.SelectorEventLoop(_Silence())


class _Silence(selectors.BaseSelector):
    """A selector that never reports anything."""

    def __init__(self) -> None:
        self._keys: dict[Any, selectors.SelectorKey] = {}

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        key = selectors.SelectorKey(fileobj, fileobj, events, data)
        self._keys[fileobj] = key
        return key

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._keys.pop(fileobj)

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None or timeout > 0:
            raise RuntimeError(
                "the simulation stands still: everybody waits, for real time or for one another"
            )
        return []

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._keys
