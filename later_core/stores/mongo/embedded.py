"""The private MongoDB of a server that was given none."""

from __future__ import annotations

import asyncio
from asyncio.subprocess import Process
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Self

import structlog

from later_core.errors import MongodFailed
from later_core.ports.clock import Clock
from later_core.stores.mongo.binary import find_mongod
from later_core.stores.mongo.directory import DataDirectory
from later_core.stores.mongo.mongod import how_it_ended, rotate_log, spawn, stop
from later_core.stores.mongo.orphan import stop_orphan
from later_core.stores.mongo.replica_set import await_primary, uri_of

_log = structlog.get_logger(__name__)

#: Recovery after a crash reads the journal, which takes long on a slow disk.
_START_SECONDS = 120.0
_BACKOFF_FIRST_SECONDS = 0.1
_BACKOFF_MAX_SECONDS = 30.0
#: One that lived this long did not die of how it was started.
_HEALTHY_SECONDS = 60.0
_ROTATE_SECONDS = 60.0


class EmbeddedMongo:
    """A mongod of our own: a replica set of one under ``data_dir / "mongodb"``.

    Entering starts it and waits until it takes writes; leaving stops it, in order, also when
    cancelled. One that dies in between is started again; ``uri`` stays the same. It listens on a
    socket in a directory of this user alone.
    """

    def __init__(self, *, data_dir: Path, clock: Clock) -> None:
        self._directory = DataDirectory(data_dir / "mongodb")
        self._clock = clock
        self._stack = AsyncExitStack()
        self._binary = Path()
        self._process: Process | None = None

    @property
    def uri(self) -> str:
        """The connection string; holds from enter to exit."""
        return uri_of(self._directory)

    @property
    def pid(self) -> int | None:
        """The process id of the mongod that runs now."""
        return self._process.pid if self._process else None

    async def __aenter__(self) -> Self:
        """Start it.

        Raises:
            MongodNotFound, MongodFailed: there is none, or it does not run.
            DataDirectoryInUse, SettingInvalid: the directory is taken, or cannot be used.

        """
        self._binary = find_mongod()
        async with AsyncExitStack() as stack:
            stack.enter_context(self._directory)
            await stop_orphan(self._directory, self._clock)
            stack.push_async_callback(self._stop)
            self._process = await self._start()
            await self._guard(stack)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def _start(self) -> Process:
        began = self._clock.monotonic()
        process = await spawn(self._binary, self._directory)
        try:
            await await_primary(process, self._directory, self._clock, seconds=_START_SECONDS)
        except BaseException:
            await stop(process)
            raise
        seconds = round(self._clock.monotonic() - began, 3)
        _log.info("embedded mongod started", pid=process.pid, seconds=seconds)
        return process

    async def _stop(self) -> None:
        if self._process is not None:
            process, self._process = self._process, None
            await stop(process)
            _log.info("embedded mongod stopped", pid=process.pid)

    async def _guard(self, stack: AsyncExitStack) -> None:
        group = await asyncio.TaskGroup().__aenter__()
        loops = [group.create_task(self._keep_alive()), group.create_task(self._keep_log_small())]

        async def end() -> None:
            for loop in loops:
                loop.cancel()
            # Without the exception of the body: the group would wrap it into another.
            await group.__aexit__(None, None, None)

        stack.push_async_callback(end)

    async def _keep_alive(self) -> None:
        backoff = _BACKOFF_FIRST_SECONDS
        while True:
            if self._process is not None:
                began = self._clock.monotonic()
                await self._process.wait()
                reason = how_it_ended(self._process, self._directory)
                _log.error("embedded mongod died", pid=self._process.pid, reason=reason)
                self._process = None
                if self._clock.monotonic() - began >= _HEALTHY_SECONDS:
                    backoff = _BACKOFF_FIRST_SECONDS
            await self._clock.sleep(backoff)
            backoff = min(backoff * 2, _BACKOFF_MAX_SECONDS)
            try:
                self._process = await self._start()
            except MongodFailed as error:
                _log.error("embedded mongod does not start again", reason=str(error))

    async def _keep_log_small(self) -> None:
        while True:
            await self._clock.sleep(_ROTATE_SECONDS)
            try:
                rotate_log(self._directory, self._process)
            except OSError as error:
                _log.warning("mongod's log was not rotated", reason=str(error))
