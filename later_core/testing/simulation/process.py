"""One node of a simulation, from its start to its death or its leave."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta

from later_core.app import RunningNode, node
from later_core.ports.store import Store
from later_core.settings import Settings
from later_core.testing.clock import FakeClock
from later_core.testing.simulation.line import Line
from later_core.testing.simulation.machine import Machine, MachineClock
from later_core.testing.simulation.rules import Rules
from later_core.testing.simulation.scenario import Start
from later_core.testing.simulation.store_view import StoreView
from later_core.testing.simulation.tasks import ObservedTask
from later_core.testing.tasks import GivenTasks


class Process:
    """A server process without its gRPC server, on a machine of its own."""

    def __init__(
        self,
        name: str,
        start: Start,
        *,
        store: Store,
        settings: Settings,
        line: Line,
        rules: Rules,
        clock: FakeClock,
        network: asyncio.TaskGroup,
    ) -> None:
        history = rules.ledger.history
        self.host = start.host
        self.machine = Machine(name)
        self.line = line
        self.clock = MachineClock(clock, self.machine, skew=start.skew, offset=start.offset)
        self.tasks = start.tasks
        #: Its services, once it has joined.
        self.parts: RunningNode | None = None
        #: What must be told when it no longer answers: connections break.
        self.on_end: list[Callable[[], object]] = []
        self._settings = settings
        self._rules = rules
        self._store = StoreView(
            store,
            machine=self.machine,
            line=line,
            clock=clock,
            network=network,
            history=history,
        )
        self._names = 0
        self._stop = asyncio.Event()
        self._grace = timedelta()
        self._is_leaving = False
        self.has_ended = False

    @property
    def answers(self) -> bool:
        """Whether a client that asks now is served."""
        return self.parts is not None and self.machine.is_running and not self._is_leaving

    @property
    def is_leaving(self) -> bool:
        """Whether it was told to stop."""
        return self._is_leaving

    async def run(self) -> None:
        """Join, serve until told to leave, drain, leave."""
        tasks = [
            ObservedTask(name, machine=self.machine, clock=self.clock, rules=self._rules)
            for name in self.tasks
        ]
        try:
            async with node(
                self._store.as_store(),
                GivenTasks(*tasks),
                self._settings,
                self.clock,
                stop=self._stop,
                new_id=self._new_id,
                watch_loop=False,
            ) as parts:
                if parts is None:
                    return
                self.parts = parts
                await self._stop.wait()
                self._break_connections()
                await parts.drain(self._grace)
        except Exception as error:  # noqa: BLE001 - whatever it is, a node must not die of it
            self._rules.ledger.violated("nothing ends a node:", self.machine.name, repr(error))
        finally:
            self.parts = None
            self.has_ended = True

    def leave(self, grace: timedelta) -> None:
        """Tell it to stop in order."""
        self._grace = grace
        self._is_leaving = True
        self.machine.deliver(self._stop.set)

    def kill(self) -> None:
        """End it at once, whatever it does."""
        self.machine.kill()
        self._break_connections()
        self.has_ended = True

    def _break_connections(self) -> None:
        broken, self.on_end = self.on_end, []
        for tell in broken:
            tell()

    def _new_id(self) -> str:
        self._names += 1
        return self.machine.name if self._names == 1 else f"{self.machine.name}.{self._names}"
