"""One seed from beginning to end: the steps, the healing, the rest, and the checks between them."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from later_core.testing.clock import FakeClock
from later_core.testing.simulation import loop
from later_core.testing.simulation.history import History
from later_core.testing.simulation.ledger import Ledger
from later_core.testing.simulation.logs import logs_into
from later_core.testing.simulation.promises import Promises
from later_core.testing.simulation.rules import Rules
from later_core.testing.simulation.scenario import Scenario, Start
from later_core.testing.simulation.seeding import BEGINNING, TASKS, scenario_of
from later_core.testing.simulation.watched_store import WatchedStore
from later_core.testing.simulation.world import World

#: How long everything may take to come to rest once the faults have stopped, in seconds.
_LONGEST_REST = 60.0
#: How long nothing may happen at the end, in seconds.
_SILENCE = 1.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What came of a seed: the broken promises, and everything that happened."""

    seed: int
    violations: Sequence[str]
    history: History

    @property
    def is_good(self) -> bool:
        """Whether every promise was kept."""
        return not self.violations

    def report(self) -> str:
        """The whole history, what is wrong with it, and the command that plays it again."""
        wrong = [f"VIOLATED: {violation}" for violation in self.violations] or [
            "every promise kept"
        ]
        return "\n".join(
            [
                f"seed {self.seed}",
                *self.history.lines(),
                *wrong,
                f"replay: tox -e sim -- --seed {self.seed}",
            ]
        )


def simulate(seed: int, *, store: type[WatchedStore] = WatchedStore) -> Verdict:
    """Play the scenario of a seed. The same seed gives the same history, line by line.

    With another ``store`` the checks can be tried on a fault of one's own.
    """
    return play(scenario_of(seed), store=store)


def play(scenario: Scenario, *, store: type[WatchedStore] = WatchedStore) -> Verdict:
    """Play a scenario until it is over, or the first promise is broken."""
    clock = FakeClock(BEGINNING)
    clock.quiet_turns = 1  # there are no sockets to wait for
    history = History(clock)
    ledger = Ledger(clock, history)
    state = random.getstate()
    # The engine draws its backoffs from here.
    random.seed(scenario.seed)
    try:
        with logs_into(ledger):
            loop.run(lambda: _play(scenario, ledger, store))
    finally:
        random.setstate(state)
    return Verdict(
        seed=scenario.seed,
        violations=tuple(ledger.violations),
        history=history,
    )


async def _play(scenario: Scenario, ledger: Ledger, store: type[WatchedStore]) -> None:
    clock = ledger.clock
    rules = Rules(
        ledger,
        lease=timedelta(seconds=scenario.lease),
        claim_lead=timedelta(seconds=scenario.claim_lead),
    )
    async with asyncio.TaskGroup() as tasks:
        world = World(
            scenario,
            ledger=ledger,
            rules=rules,
            store=store(ledger, rules.wrote),
            clock=clock,
            tasks=tasks,
        )
        promises = Promises(scenario, world, ledger)
        try:
            await _faults(scenario, world, ledger, promises)
            if not ledger.violations:
                await _rest(world, ledger, promises)
        finally:
            ledger.history.end()
            await _end_all(world, clock)


async def _faults(scenario: Scenario, world: World, ledger: Ledger, promises: Promises) -> None:
    """Do every step at its moment."""
    now = 0.0
    for at, step in scenario.steps:
        await ledger.clock.advance(max(0.0, at - now))
        now = max(now, at)
        promises.check()
        if ledger.violations:
            return
        world.do(step)
    await ledger.clock.settle()


async def _rest(world: World, ledger: Ledger, promises: Promises) -> None:
    """Heal everything and let time pass until all has come to rest; it must, and stay so."""
    clock = ledger.clock
    world.heal(Start(host=9, tasks=TASKS, skew=timedelta(seconds=7), offset=1e6))
    deadline = clock.monotonic() + _LONGEST_REST
    while not ledger.violations:
        if promises.are_all_settled():
            # What is still on its way may stir it up again.
            await clock.advance(_SILENCE)
            if promises.are_all_settled():
                break
        if clock.monotonic() >= deadline:
            promises.say_what_is_open()
            return
        await clock.advance(0.5)
    promises.check_end()


async def _end_all(world: World, clock: FakeClock) -> None:
    """End every task, those of machines that stand still or are dead too."""
    for process in world.processes:
        process.machine.end()
    this = asyncio.current_task()
    for _ in range(20):
        left = [task for task in asyncio.all_tasks() if task is not this]
        if not left:
            return
        for task in left:
            task.cancel()
        await clock.settle()
