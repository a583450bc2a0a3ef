"""One node as a process of its own."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from later_core.stores.mongo import launcher

#: What an ended process may still need once it has been told twice.
_STOP_SECONDS = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How a node's process is started.

    ``command`` reads ``message`` from its standard input, and writes its address and a line end to
    its standard output once it serves.
    """

    command: Sequence[str]
    message: bytes


class NodeProcess:
    """Goes down when this process does, whatever ends it."""

    def __init__(self, process: Process) -> None:
        self._process = process

    @property
    def pid(self) -> int:
        return self._process.pid

    async def serves(self) -> bool:
        """Return once it serves (True) or has closed its output without a word (False)."""
        assert self._process.stdout is not None
        return bool(await self._process.stdout.readline())

    async def ended(self) -> int:
        """Its exit code, below 0 for a signal."""
        return await self._process.wait()

    def stop(self) -> None:
        """Ask it to stop in order; a second time: at once."""
        if self._process.returncode is None:
            self._process.send_signal(signal.SIGTERM)


@asynccontextmanager
async def running(recipe: Recipe) -> AsyncIterator[NodeProcess]:
    """The process for the length of the block; what still lives then is stopped, by force at last."""
    # A session of its own: a Ctrl-C in the terminal is for this process to pass on.
    process = await asyncio.create_subprocess_exec(
        *_tied(recipe.command), stdin=PIPE, stdout=PIPE, start_new_session=True
    )
    node = NodeProcess(process)
    try:
        assert process.stdin is not None
        process.stdin.write(recipe.message)
        process.stdin.close()
        yield node
    finally:
        if process.returncode is None:
            await _end(process, node)


def _tied(command: Sequence[str]) -> Sequence[str]:
    if sys.platform != "linux":
        return command
    return [sys.executable, "-I", "-S", launcher.__file__, str(os.getpid()), *command]


async def _end(process: Process, node: NodeProcess) -> None:
    """Force loses nothing: another node, or the next start, takes over."""
    node.stop()
    try:
        async with asyncio.timeout(_STOP_SECONDS):
            await process.wait()
    except TimeoutError:
        pass
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
