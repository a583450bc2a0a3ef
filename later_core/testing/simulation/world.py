"""The hosts, the lines and the clients of a simulation, and what each step does to them."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Coroutine
from contextvars import ContextVar
from datetime import timedelta
from typing import Any

from later_core.settings import Settings
from later_core.testing.clock import FakeClock
from later_core.testing.simulation.clients import Clients
from later_core.testing.simulation.ledger import Ledger
from later_core.testing.simulation.line import FAIR, Line
from later_core.testing.simulation.process import Process
from later_core.testing.simulation.rules import Rules
from later_core.testing.simulation.scenario import (
    Abort,
    Crash,
    Create,
    CreateSchedule,
    ForgetHistory,
    Freeze,
    Leave,
    Reconnect,
    Request,
    Reschedule,
    Retry,
    Scenario,
    SetWallClock,
    Start,
    Step,
    Thaw,
    Turn,
    Watch,
)
from later_core.testing.simulation.subscriber import Subscriber
from later_core.testing.simulation.watched_store import WatchedStore

#: Which process the code that runs belongs to, for the log.
running_on: ContextVar[str] = ContextVar("running_on", default="client")


class World:
    """Everything there is. Steps are done while everybody waits, so that they come between moments."""

    def __init__(
        self,
        scenario: Scenario,
        *,
        ledger: Ledger,
        rules: Rules,
        store: WatchedStore,
        clock: FakeClock,
        tasks: asyncio.TaskGroup,
    ) -> None:
        self.store = store
        self.processes: list[Process] = []
        self.subscribers: dict[str, Subscriber] = {}
        self._scenario = scenario
        self._ledger = ledger
        self._rules = rules
        self._clock = clock
        self._tasks = tasks
        self._settings = settings_of(scenario)
        self._clients = Clients(ledger, clock, self.pick)
        self._starts = 0
        self._open_requests = 0

    @property
    def open_requests(self) -> int:
        """Requests of clients that are under way."""
        return self._open_requests

    @property
    def acknowledged(self) -> set[str]:
        """The ids of acknowledged creates."""
        return self._clients.acknowledged

    @property
    def acknowledged_schedules(self) -> set[str]:
        """The ids of acknowledged schedules."""
        return self._clients.acknowledged_schedules

    def on(self, host: int) -> Process | None:
        """The process that runs on a host, or stands still there."""
        for process in reversed(self.processes):
            if process.host == host and not process.has_ended:
                return process
        return None

    def pick(self, host: int) -> Process | None:
        """A process that answers: that of this host, else another."""
        answering = [process for process in self.processes if process.answers]
        for process in answering:
            if process.host == host:
                return process
        return answering[host % len(answering)] if answering else None

    def do(self, step: Step) -> None:
        """Do one step now."""
        match step:
            case Start() | Crash() | Leave() | Freeze() | Thaw() | Turn() | SetWallClock():
                self._ledger.history.add("FAULT", str(step))
                self._fault(step)
            case ForgetHistory():
                self._ledger.history.add("FAULT", str(step))
                self.store.forget_history()
            case _:
                self._request(step)

    def _fault(self, step: Start | Crash | Leave | Freeze | Thaw | Turn | SetWallClock) -> None:
        process = self.on(step.host)
        if isinstance(step, Start):
            if process is None:
                self.start(step)
            return
        if process is None:
            return
        match step:
            case Crash():
                process.kill()
            case Leave():
                process.leave(timedelta(seconds=step.grace))
            case Freeze():
                process.machine.freeze()
            case Thaw():
                process.machine.thaw(self._clock.now())
            case Turn():
                process.line.weather = step.weather
            case SetWallClock():
                process.clock.skew = step.skew

    def start(self, step: Start) -> None:
        """A node starts."""
        self._starts += 1
        name = f"n{step.host}-{self._starts}"
        # Each line has a stream of its own: a call more on one changes nothing on the others.
        rng = random.Random(f"{self._scenario.seed} {name}")  # noqa: S311 - no secret hangs on it
        process = Process(
            name,
            step,
            store=self.store,
            settings=self._settings,
            line=Line(rng, delay=self._scenario.delay),
            rules=self._rules,
            clock=self._clock,
            network=self._tasks,
        )
        self.processes.append(process)
        token = running_on.set(name)
        self._tasks.create_task(process.run(), name=name)
        running_on.reset(token)

    def heal(self, start: Start) -> None:
        """Every fault ends; where a task is installed on no living node, one joins that has it."""
        self._ledger.history.add("FAULT", "all faults end")
        for process in self.processes:
            process.line.weather = FAIR
            if process.machine.is_frozen and not process.machine.is_dead:
                process.machine.thaw(self._clock.now())
        alive = [process for process in self.processes if not process.has_ended]
        if not any(set(start.tasks) <= set(p.tasks) and not p.is_leaving for p in alive):
            self.start(start)

    def _request(self, step: Request) -> None:
        clients = self._clients
        match step:
            case Create():
                self._begin(clients.create(step))
            case CreateSchedule():
                self._begin(clients.create_schedule(step))
            case Abort():
                self._begin(clients.abort(step))
            case Reschedule():
                self._begin(clients.reschedule(step))
            case Retry():
                self._begin(clients.retry(step))
            case Watch():
                subscriber = Subscriber(
                    step.name,
                    self._ledger,
                    task=step.task,
                    include_existing=step.include_existing,
                )
                self.subscribers[step.name] = subscriber
                self._tasks.create_task(clients.watch(subscriber, step.host), name=step.name)
            case Reconnect():
                if step.name in self.subscribers:
                    self.subscribers[step.name].disconnect()

    def _begin(self, request: Coroutine[Any, Any, None]) -> None:
        self._open_requests += 1
        self._tasks.create_task(self._complete(request))

    async def _complete(self, request: Coroutine[Any, Any, None]) -> None:
        try:
            await request
        finally:
            self._open_requests -= 1


def settings_of(scenario: Scenario) -> Settings:
    """The settings of every node."""
    return Settings.model_validate(
        {
            "lease": timedelta(seconds=scenario.lease),
            "recurrence": timedelta(seconds=scenario.recurrence),
            "time_ahead": timedelta(seconds=scenario.time_ahead),
            "claim_lead": timedelta(seconds=scenario.claim_lead),
            "max_running": scenario.max_running,
            "catch_up_rate": scenario.catch_up_rate,
        }
    )
