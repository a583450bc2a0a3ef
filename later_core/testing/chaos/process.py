"""A process that can be killed, stopped, paused and woken, and that does not outlive this one (one
that is paused when this one is killed ends once it is woken).
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Mapping, Sequence
from pathlib import Path

from later_core.stores.mongo import launcher

_END_SECONDS = 60.0


class OwnedProcess:
    """One command, run again and again with one log."""

    def __init__(
        self, name: str, command: Sequence[str], *, log: Path, environment: Mapping[str, str]
    ) -> None:
        self.name = name
        self._command = command
        self._log = log
        self._environment = environment
        self._process: Process | None = None

    @property
    def pid(self) -> int:
        """Its process id."""
        if self._process is None:
            raise RuntimeError(f"{self.name} does not run")
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether it has been started and has not ended."""
        return self._process is not None and self._process.returncode is None

    def log_tail(self) -> str:
        """The last it has said, in all its runs."""
        return self._log.read_text(errors="replace")[-4000:] if self._log.exists() else ""

    async def spawn(self) -> None:
        """Start it; it may not be ready yet."""
        # Tied to this process, so that it ends with it, however that ends.
        tied = (sys.executable, "-I", "-S", launcher.__file__, str(os.getpid()))
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *tied,
                *self._command,
                env=dict(self._environment),
                stdin=DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    async def kill(self) -> None:
        """As a power cut does."""
        if self._process is not None:
            if self._process.returncode is None:
                self._process.kill()
            await self._process.wait()

    async def stop(self) -> int:
        """As an operator does; answers the exit code.

        Raises:
            TimeoutError: it does not end.

        """
        if self._process is None:
            raise RuntimeError(f"{self.name} does not run")
        self._process.terminate()
        async with asyncio.timeout(_END_SECONDS):
            return await self._process.wait()

    def pause(self) -> None:
        """Stop it in the middle of whatever it does."""
        os.kill(self.pid, signal.SIGSTOP)

    def wake(self) -> None:
        """Let it go on as if nothing had been."""
        os.kill(self.pid, signal.SIGCONT)
