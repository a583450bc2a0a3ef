"""Later's own store as a plugin brings it, with a watch on the pull and on the event loop.

Runs inside the server. While the window is pulled, a ticker wakes every millisecond; how late it
wakes is how long the loop was blocked. When the pull is over, what was noted is written to a file.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Iterable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from later_core import PluginSetting, hookimpl
from later_core.ports.clock import SystemClock
from later_core.ports.store import Store
from later_core.stores.mongo.store import MongoStore

_TICK_SECONDS = 0.001
#: A pull is over when nothing has been read for so long.
_QUIET_SECONDS = 1.0


class MeasuredStore(MongoStore):
    """As ``MongoStore``; notes when the first and the last page of the pull came, and pauses."""

    def __init__(self, *, directory: Path, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._directory = directory
        self._entries = 0
        self._first: float | None = None
        self._last = 0.0
        self._pauses_ms: list[float] = []

    async def open(self) -> None:
        await super().open()
        self._ticker = asyncio.create_task(self._tick())

    async def close(self) -> None:
        self._ticker.cancel()
        await super().close()

    async def due(self, **arguments: Any) -> Any:
        if self._first is None:
            self._first = time.perf_counter()
        page = await super().due(**arguments)
        if page:
            self._entries += len(page)
            self._last = time.perf_counter()
        return page

    async def _tick(self) -> None:
        woken = time.perf_counter()
        while not self._entries or woken - self._last < _QUIET_SECONDS:
            await asyncio.sleep(_TICK_SECONDS)
            now = time.perf_counter()
            if self._first is not None:
                self._pauses_ms.append((now - woken - _TICK_SECONDS) * 1000)
            woken = now
        path = self._directory / f"pull-{os.getpid()}.json"
        path.with_suffix(".part").write_text(
            json.dumps(
                {
                    "entries": self._entries,
                    "seconds": self._last - (self._first or 0.0),
                    "pauses_ms": sorted(self._pauses_ms)[-100:],
                }
            ),
            encoding="utf-8",
        )
        path.with_suffix(".part").replace(path)


@hookimpl
def later_settings() -> Iterable[PluginSetting]:
    """Where the store is, since a plugin's store is not told."""
    return [
        PluginSetting(name="bench_uri", default="", description="URI of MongoDB."),
        PluginSetting(name="bench_database", default="", description="Name of the database."),
        PluginSetting(name="bench_notes", default="", description="Directory for what was noted."),
    ]


@hookimpl
def later_store(settings: Mapping[str, Any]) -> Store:
    """Later's own, measured."""
    return MeasuredStore(
        directory=Path(settings["bench_notes"]),
        uri=settings["bench_uri"],
        database=settings["bench_database"],
        retention=timedelta(days=7),
        clock=SystemClock(),
    )
