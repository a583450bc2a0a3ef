"""Three ``later serve``, with the tasks of chaos installed as a distribution, and wrong wall clocks."""

from __future__ import annotations

import os
import random
import socket
import sys
from collections.abc import Collection, Mapping, Sequence
from operator import eq
from pathlib import Path
from typing import Self

from later_core.client.client import Client
from later_core.client.errors import RpcError
from later_core.testing.chaos.account import now_ns
from later_core.testing.chaos.network import Network
from later_core.testing.chaos.process import OwnedProcess
from later_core.testing.chaos.task import SETTING
from later_core.testing.chaos.waiting import until
from later_core.testing.chaos.wall_clocks import WallClock

DATABASE = "chaos"
_READY_SECONDS = 90.0

#: How wrong a node's wall clock may be, fast or slow.
_WRONG_SECONDS = 30.0

_METADATA = "Metadata-Version: 2.1\nName: later-chaos-tasks\nVersion: 1.0\n"
_ENTRY_POINTS = "[later]\nchaos = later_core.testing.chaos.task\n"


class Node:
    """One server, at one address for all its lives. Its id in Later ends with each of them."""

    def __init__(self, name: str, directory: Path, settings: Mapping[str, str]) -> None:
        self.name = name
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{probe.getsockname()[1]}"
        directory.mkdir(parents=True)
        self.clock = WallClock(directory / "clock")
        environment = {
            # Nothing of the user's own.
            "PATH": os.defpath,
            "HOME": str(directory),
            "XDG_CONFIG_HOME": str(directory),
            "LATER_LISTEN": self.address,
            "LATER_LOG_FORMAT": "json",
            **self.clock.environment,
            **{
                name if name.isupper() else f"LATER_{name.upper()}": value
                for name, value in settings.items()
            },
        }
        self.log = directory / "later.log"
        self.process = OwnedProcess(
            name,
            [sys.executable, "-m", "later_core.cli", "serve"],
            log=self.log,
            environment=environment,
        )

    async def until_serving(self) -> None:
        """Return once its health says so."""

        async def serves() -> bool:
            if not self.process.is_running:
                raise RuntimeError(f"{self.name} has ended:\n{self.process.log_tail()}")
            try:
                async with Client(self.address) as client:
                    return await client.health()
            except RpcError:
                return False

        await until(f"{self.name} serves", serves, _READY_SECONDS)


class Nodes:
    """An async context manager: entering starts all, leaving kills them. ``clocks`` is what makes
    their wall clocks wrong.
    """

    def __init__(
        self,
        network: Network,
        directory: Path,
        *,
        mongodb_uri: str,
        settings: Mapping[str, str],
        python_path: str,
        clocks: Path,
        chance: random.Random,
        count: int = 3,
    ) -> None:
        self._network = network
        self._chance = chance
        self.ledger = directory / "ledger"
        self.ledger.touch()
        #: Those that ended by themselves, or not in order, in words.
        self.ended: list[str] = []
        #: When each process was killed by a fault, by its id; nanoseconds since the Unix epoch.
        self.killed: dict[int, int] = {}
        installed = _install(directory / "installed")
        self.all = [
            Node(
                f"node-{n}",
                directory / f"node-{n}",
                {
                    "mongodb_uri": mongodb_uri,
                    "database": DATABASE,
                    SETTING: str(self.ledger),
                    "PYTHONPATH": os.pathsep.join(
                        filter(None, [str(clocks), str(installed), python_path])
                    ),
                    **settings,
                },
            )
            for n in range(count)
        ]
        self._parts: Sequence[int] = ()
        self.set_clocks()

    async def __aenter__(self) -> Self:
        try:
            await self.start(self.all)
            for node in self.all:
                await node.until_serving()
        except BaseException:
            await self._end()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._end()

    def set_clocks(self) -> None:
        """Set every node's wall clock, running or not: wrong, each in another way, and in another
        than before.
        """
        span = 2 * _WRONG_SECONDS / len(self.all)
        before = self._parts
        while any(map(eq, self._parts, before)) or not self._parts:
            self._parts = self._chance.sample(range(len(self.all)), len(self.all))
        for node, part in zip(self.all, self._parts, strict=True):
            node.clock.set(-_WRONG_SECONDS + (part + self._chance.random()) * span)

    async def start(self, nodes: Collection[Node]) -> None:
        """Start these; they may not serve yet."""
        for node in nodes:
            await node.process.spawn()
            self._network.pids[node.name] = node.process.pid

    async def kill(self, nodes: Collection[Node]) -> None:
        """As a power cut does."""
        self.check(nodes)
        for node in nodes:
            self.killed[node.process.pid] = now_ns()
            await node.process.kill()

    async def stop(self, node: Node) -> None:
        """As an operator does."""
        self.check([node])
        code = await node.process.stop()
        if code:
            self.ended.append(f"{node.name} was told to stop and ended with {code}")

    def check(self, nodes: Collection[Node]) -> None:
        """Note those that have ended although nobody did them any harm that ends a process."""
        self.ended += [f"{node.name} has ended" for node in nodes if not node.process.is_running]

    def exceptions(self) -> list[str]:
        """What the logs tell of exceptions that nobody caught: lines with a traceback, or no JSON."""
        return [
            f"{node.name}: {line[:500]}"
            for node in self.all
            for line in node.log.read_text(errors="replace").splitlines()
            if not line.startswith("{") or '"exception"' in line
        ]

    async def _end(self) -> None:
        for node in self.all:
            await node.process.kill()


def _install(place: Path) -> Path:
    """A directory with a distribution in it, as an installer leaves it; for PYTHONPATH."""
    record = place / "later_chaos_tasks-1.0.dist-info"
    record.mkdir(parents=True)
    (record / "METADATA").write_text(_METADATA)
    (record / "entry_points.txt").write_text(_ENTRY_POINTS)
    return place
