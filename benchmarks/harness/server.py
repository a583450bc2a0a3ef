"""A real ``later serve`` with the tasks of the benchmarks, on a MongoDB that is there."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
import time
from asyncio.subprocess import DEVNULL
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import grpc

from benchmarks.harness.tasks import DUMP, SETTING
from benchmarks.harness.waiting import until
from later_core.client.channel import open_channel
from later_core.client.client import Client
from later_core.client.errors import RpcError
from later_core.rpc.v1 import later_pb2 as pb
from later_core.rpc.v1 import later_pb2_grpc as rpc

_READY_SECONDS = 120.0
_STOP_SECONDS = 60.0
_DUMP_SECONDS = 60.0

_ROOT = Path(__file__).resolve().parents[2]
_METADATA = "Metadata-Version: 2.1\nName: later-bench-tasks\nVersion: 1.0\n"


def free_address() -> str:
    """An address on loopback that nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


def install(place: Path, modules: Sequence[str]) -> Path:
    """A directory with a distribution in it whose plugins are these modules; for PYTHONPATH."""
    record = place / "later_bench_tasks-1.0.dist-info"
    record.mkdir(parents=True, exist_ok=True)
    (record / "METADATA").write_text(_METADATA, encoding="utf-8")
    lines = [f"{module.rpartition('.')[2]} = {module}\n" for module in modules]
    (record / "entry_points.txt").write_text("[later]\n" + "".join(lines), encoding="utf-8")
    return place


@dataclass(frozen=True, slots=True)
class Starts:
    """What the task's code noted, in the order of the starts."""

    ids: Sequence[str]
    attempts: Sequence[int]
    start_ns: Sequence[int]
    due_ms: Sequence[int]

    def late_ms(self) -> list[float]:
        """Each start's lateness, to the microsecond."""
        return [
            (start - due * 1_000_000) // 1000 / 1000
            for start, due in zip(self.start_ns, self.due_ms, strict=True)
        ]


class Server:
    """One server process. Entering starts it and waits until it serves; leaving stops it in order."""

    def __init__(
        self,
        directory: Path,
        *,
        mongodb_uri: str,
        database: str,
        settings: Mapping[str, str] | None = None,
        plugins: Sequence[str] = ("benchmarks.harness.tasks",),
    ) -> None:
        directory.mkdir(parents=True)
        self.directory = directory
        self.address = free_address()
        self.log = directory / "later.log"
        installed = install(directory / "installed", plugins)
        self._environment = {
            # Nothing of the user's own.
            "PATH": os.defpath,
            "HOME": str(directory),
            "XDG_CONFIG_HOME": str(directory),
            "PYTHONPATH": os.pathsep.join([str(installed), str(_ROOT)]),
            "LATER_LISTEN": self.address,
            "LATER_MONGODB_URI": mongodb_uri,
            "LATER_DATABASE": database,
            "LATER_VERBOSE": "0",
            "LATER_LOG_FORMAT": "json",
            f"LATER_{SETTING.upper()}": str(directory),
            **{f"LATER_{name.upper()}": value for name, value in (settings or {}).items()},
        }
        self._dumps = 0
        #: Just before the process was made; nanoseconds since the Unix epoch.
        self.executed_ns = 0

    async def __aenter__(self) -> Self:
        await self.start()
        try:
            await until("the server serves", self._serves, seconds=_READY_SECONDS)
        except BaseException:
            await self._stop()
            raise
        self.channel = open_channel(self.address)
        self.instances: Any = rpc.InstanceServiceStub(self.channel)
        self.admin: Any = rpc.AdminServiceStub(self.channel)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.channel.close(None)
        await self._stop()

    async def start(self) -> None:
        """Start the process; it serves a while later."""
        command = [sys.executable, "-m", "later_core.cli", "serve"]
        with self.log.open("ab") as log:
            self.executed_ns = time.time_ns()
            self._process = await asyncio.create_subprocess_exec(
                *command, env=self._environment, stdin=DEVNULL, stdout=log, stderr=log
            )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def new_channel(self) -> grpc.aio.Channel:
        """One more connection."""
        return open_channel(self.address)

    async def starts(self) -> Starts:
        """What has begun since this was last asked."""
        self._dumps += 1
        path = self.directory / f"starts-{self._dumps}.json"
        request = pb.CreateInstanceRequest(task=DUMP, parameters=path.name.encode())
        await self.instances.CreateInstance(request, timeout=30)

        async def is_there() -> bool:
            return path.exists()

        await until("the ledger is written", is_there, seconds=_DUMP_SECONDS)
        columns = json.loads(path.read_text(encoding="utf-8"))
        path.unlink()
        return Starts(**columns)

    def complaints(self) -> list[str]:
        """Warnings and errors of its log."""
        return self.log.read_text(encoding="utf-8", errors="replace").splitlines()

    async def stop(self) -> None:
        """For those who began with ``start`` alone."""
        await self._stop()

    async def _serves(self) -> bool:
        if self._process.returncode is not None:
            raise RuntimeError("the server has ended:\n" + "\n".join(self.complaints()[-20:]))
        try:
            async with Client(self.address) as client:
                return await client.health()
        except RpcError:
            return False

    async def _stop(self) -> None:
        if self._process.returncode is not None:
            return
        self._process.terminate()
        try:
            async with asyncio.timeout(_STOP_SECONDS):
                await self._process.wait()
        finally:
            if self._process.returncode is None:
                self._process.kill()
                await self._process.wait()
