"""A program of ours in a process of its own, which tells what it has seen by lines of JSON."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE
from pathlib import Path
from typing import Any, Self

_READY_SECONDS = 60.0
_ROOT = Path(__file__).resolve().parents[2]
_LINE_BYTES = 1 << 20


class Beside:
    """Entering starts it and waits for its first line, by which it is ready; leaving kills it.

    Raises:
        RuntimeError: it has ended without an answer.
        TimeoutError: it has not answered in time.

    """

    def __init__(self, module: str, *arguments: str) -> None:
        self._command = (sys.executable, "-m", module, *arguments)

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(
            *self._command,
            cwd=_ROOT,
            env={"PATH": os.defpath},
            stdin=PIPE,
            stdout=PIPE,
            limit=_LINE_BYTES,
        )
        try:
            await self._answer(_READY_SECONDS)
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()

    @property
    def pid(self) -> int:
        """The id of its process."""
        return self._process.pid

    async def ask(self, question: str, *, seconds: float) -> dict[str, Any]:
        """Write it a line, and return its answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{question}\n".encode())
        await self._process.stdin.drain()
        return await self._answer(seconds)

    async def _answer(self, seconds: float) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = await asyncio.wait_for(self._process.stdout.readline(), seconds)
        if not line:
            raise RuntimeError(f"{self._command[2]} has ended")
        answer: dict[str, Any] = json.loads(line)
        return answer
