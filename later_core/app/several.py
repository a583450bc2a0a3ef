"""Several nodes on one machine: processes behind one port, started, watched, and started again.

The parent serves nothing itself. It holds the port, owns the embedded MongoDB where there is one,
and passes on the wish to stop. The kernel gives each new connection to one of the processes.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import structlog

from later_core.app.exposure import check_exposure
from later_core.app.port import held
from later_core.app.process import NodeProcess, Recipe, running
from later_core.ports.clock import Clock, SystemClock

if TYPE_CHECKING:
    from later_core.catalog import Catalog
    from later_core.settings import Settings

_log = structlog.get_logger(__name__)

#: The exit code that says that only a person can mend it; the process has said what.
WRONG = 2
_BACKOFF_FIRST_SECONDS = 0.1
_BACKOFF_MAX_SECONDS = 30.0
#: One that lived this long did not die of how it was started.
_HEALTHY_SECONDS = 60.0


async def serve_several(
    settings: Settings,
    catalog: Catalog,
    *,
    recipe: Callable[[Mapping[str, str]], Recipe],
    ready: Callable[[str], None],
    stop: asyncio.Event,
) -> int:
    """Serve until ``stop`` is set; ``ready`` is told the address once the first node serves.

    ``recipe`` makes the start of one node of these settings, which replace its own. Answers 0, or the
    exit code of a node that a person must mend.

    Raises:
        Misconfigured: a person must act.
    """
    check_exposure(settings)
    clock = SystemClock()
    with held(settings.listen) as address:
        async with _database(settings, catalog, clock) as replaced:
            nodes = _Nodes(
                recipe=recipe({**replaced, "listen": address, "nodes": "1"}),
                ready=lambda: ready(address),
                stop=stop,
                clock=clock,
            )
            code = await nodes.keep(settings.nodes)
    _log.info("stopped")
    return code


@asynccontextmanager
async def _database(
    settings: Settings, catalog: Catalog, clock: Clock
) -> AsyncIterator[Mapping[str, str]]:
    """The settings with which every node finds the one database; ours, where none is given."""
    if settings.mongodb_uri is not None or catalog.store(settings.plugins) is not None:
        yield {}
        return
    from later_core.stores.mongo.embedded import EmbeddedMongo

    async with EmbeddedMongo(data_dir=settings.data_dir, clock=clock) as embedded:
        yield {"mongodb_uri": embedded.uri}


class _Nodes:
    """So many processes of one kind, each started again when it ends."""

    def __init__(
        self, *, recipe: Recipe, ready: Callable[[], None], stop: asyncio.Event, clock: Clock
    ) -> None:
        self._recipe = recipe
        self._ready = ready
        self._stop = stop
        self._clock = clock
        self._living: set[NodeProcess] = set()
        #: Set once the first one serves: what is wrong with all of them is said once.
        self._others_may_start = asyncio.Event()
        self._code = 0

    async def keep(self, count: int) -> int:
        """Until stopped; the exit code."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._pass_on_stop())
            for place in range(count):
                group.create_task(self._keep_one(place))
        return self._code

    async def _pass_on_stop(self) -> None:
        await self._stop.wait()
        self._others_may_start.set()
        for node in self._living:
            node.stop()

    async def _keep_one(self, place: int) -> None:
        if place:
            await self._others_may_start.wait()
        backoff = _BACKOFF_FIRST_SECONDS
        while not self._stop.is_set():
            began = self._clock.monotonic()
            code = await self._run_one()
            if self._stop.is_set():
                return
            if code == WRONG:
                self._code = code
                self._stop.set()
                return
            if self._clock.monotonic() - began >= _HEALTHY_SECONDS:
                backoff = _BACKOFF_FIRST_SECONDS
            await self._clock.wait(self._stop, backoff)
            backoff = min(backoff * 2, _BACKOFF_MAX_SECONDS)

    async def _run_one(self) -> int:
        """From the start of a process to its end; its exit code."""
        async with running(self._recipe) as node:
            self._living.add(node)
            try:
                _log.info("node started", process=node.pid)
                if self._stop.is_set():
                    node.stop()
                elif await node.serves() and not self._others_may_start.is_set():
                    self._others_may_start.set()
                    self._ready()
                code = await node.ended()
            finally:
                self._living.discard(node)
        if code != WRONG and not self._stop.is_set():
            _log.error("node ended, another is started", process=node.pid, exit_code=code)
        return code
