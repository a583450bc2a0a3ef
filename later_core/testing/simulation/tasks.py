"""What simulated instances run: code that does as its parameters say, and tells the ledger."""

from __future__ import annotations

import asyncio

from later_core.model.instance import InstanceError
from later_core.plugin.context import Context
from later_core.plugin.task import Task, TaskError
from later_core.ports.clock import Clock
from later_core.testing.simulation.behaviour import Behaviour, result_of
from later_core.testing.simulation.ledger import End
from later_core.testing.simulation.machine import Machine
from later_core.testing.simulation.rules import Rules


class ObservedTask(Task):
    """Runs on one machine; the rules see each beginning and each end."""

    def __init__(self, name: str, *, machine: Machine, clock: Clock, rules: Rules) -> None:
        self.name = name  # type: ignore[misc] # each object of a simulation may bear another name
        self._machine = machine
        self._clock = clock
        self._rules = rules

    async def run(self, context: Context) -> bytes:
        instance = context.instance
        behaviour = Behaviour.of(instance)
        self._rules.began(instance, self._machine)
        try:
            if behaviour.seconds:
                await self._clock.sleep(behaviour.seconds)
        except asyncio.CancelledError:
            self._rules.ledger.ended(instance, End.STOPPED)
            raise
        if instance.attempt <= behaviour.failures:
            self._rules.ledger.ended(instance, End.RAISED)
            raise TaskError("it was to fail")
        self._rules.ledger.ended(instance, End.RETURNED)
        return result_of(instance)

    async def on_success(self, context: Context, result: bytes) -> None:
        self._rules.called_back("on_success", context.instance)

    async def on_fail(self, context: Context, error: InstanceError) -> None:
        self._rules.called_back("on_fail", context.instance)

    async def on_abort(self, context: Context) -> None:
        self._rules.called_back("on_abort", context.instance)
