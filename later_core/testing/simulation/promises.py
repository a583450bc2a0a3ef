"""What must hold between the steps, and at the end when all has come to rest."""

from __future__ import annotations

from datetime import timedelta

from later_core.engine.admission import POLL
from later_core.model.instance import Instance
from later_core.model.planning import instance_id
from later_core.model.schedule import Overlap
from later_core.model.state import State
from later_core.testing.simulation.ledger import Ledger
from later_core.testing.simulation.scenario import Scenario
from later_core.testing.simulation.timetable import nominal_times
from later_core.testing.simulation.world import World

#: Nodes that start together need so long to know of one another, in seconds.
_SETTLED_AFTER = 2.5
#: How late a start may be, and how late a run may hear of its abort, while nothing is wrong.
_PUNCTUAL = timedelta(seconds=0.25)

#: Under these every nominal time runs, sooner or later.
_EVERY_ONE = frozenset({Overlap.ALLOW, Overlap.BUFFER_ALL})


class Promises:
    """Looks at the store, the runs and the subscribers of one simulation."""

    def __init__(self, scenario: Scenario, world: World, ledger: Ledger) -> None:
        self._scenario = scenario
        self._world = world
        self._ledger = ledger
        self._beginning = ledger.now()
        self._has_room = scenario.max_running > 100

    def check(self) -> None:
        """Between two steps: while no fault has come yet, everything is on time."""
        elapsed = (self._ledger.now() - self._beginning).total_seconds()
        if not self._has_room or elapsed > self._scenario.calm_until:
            return
        installed = {task for process in self._world.processes for task in process.tasks}
        for row in self._ledger.rows.values():
            is_backlog = row.execution_time < row.create_time
            if row.task in installed and not is_backlog:
                self._check_punctual(row)

    def _check_punctual(self, row: Instance) -> None:
        last = self._ledger.by_id[row.id][-1].at
        settled = self._beginning + timedelta(seconds=_SETTLED_AFTER)
        if row.state is State.PENDING or (
            row.state is State.RUNNING and (row.id, row.attempt) not in self._ledger.attempts
        ):
            since = max(row.execution_time, last, settled)
            if row.concurrency is not None and row.state is State.PENDING:
                if not self._has_free_slot(row.concurrency.key):
                    return
                freed_at = self._ledger.freed_at.get(row.concurrency.key, since)
                since = max(since, freed_at) + timedelta(seconds=POLL)
            if since + _PUNCTUAL < self._ledger.now():
                self._ledger.violated("on time while nothing is wrong:", row.id, row.state)
        elif row.state is State.ABORTED:
            attempt = self._ledger.attempts.get((row.id, row.attempt))
            if attempt is not None and attempt.end is None:
                since = max(last, attempt.began_at, settled)
                if since + _PUNCTUAL < self._ledger.now():
                    self._ledger.violated("an abort stops the run:", row.id)

    def _has_free_slot(self, key: str) -> bool:
        """Whether whoever waits for the key may begin; behind a small limit those with larger ones wait."""
        rows = [
            row
            for row in self._ledger.rows.values()
            if row.concurrency is not None and row.concurrency.key == key
        ]
        running = {row.id for row in rows if row.state is State.RUNNING}
        running |= {id for id, _ in self._ledger.running_with(key)}
        limits = [
            row.concurrency.limit
            for row in rows
            if row.concurrency is not None and row.state is State.PENDING
        ]
        return len(running) < min(limits, default=0)

    # -- the end -----------------------------------------------------------------------------

    def are_all_settled(self) -> bool:
        """Whether nothing is left to happen."""
        return not self._open()

    def say_what_is_open(self) -> None:
        """Too much time has passed: whatever is open is a broken promise."""
        for what in self._open():
            self._ledger.violated("everything comes to its end once the faults stop:", what)

    def check_end(self) -> None:
        """All has come to rest: it must still be so, and nothing acknowledged may be missing."""
        self.say_what_is_open()
        for id in sorted(self._world.acknowledged - self._ledger.rows.keys()):
            self._ledger.violated("nothing acknowledged is lost:", id)
        self._check_schedules()
        for id, row in self._ledger.rows.items():
            begun = self._ledger.began_in[id]
            if begun != sorted(set(begun)):
                self._ledger.violated("attempts start once each, in order:", id, begun)
            if row.state is State.SUCCEEDED and row.attempt not in begun:
                self._ledger.violated("what SUCCEEDED has run:", id)

    def _check_schedules(self) -> None:
        """Each nominal time has one instance, or is counted as one that has none."""
        stored = self._world.store.all_schedules()
        for id in sorted(self._world.acknowledged_schedules - stored.keys()):
            self._ledger.violated("no acknowledged schedule is lost:", id)
        for id, schedule in stored.items():
            spec, progress = self._ledger.schedules[id], schedule.progress
            due = {
                instance_id(id, time) for time in nominal_times(spec) if time > schedule.create_time
            }
            fired = {row.id for row in self._ledger.rows.values() if row.schedule_id == id}
            if not fired <= due or len(fired) != progress.runs:
                self._ledger.violated("each run of a schedule has one instance:", id, progress)
            if progress.runs + progress.skipped + progress.missed != len(due):
                self._ledger.violated("each nominal time is decided once:", id, progress, len(due))
            if progress.missed or (spec.overlap in _EVERY_ONE and fired != due):
                self._ledger.violated("no time is left out without need:", id, progress)

    def _open(self) -> list[str]:
        open = [
            f"{row.id} is {row.state} since {self._ledger.by_id[row.id][-1].at:%M:%S}"
            for row in self._ledger.rows.values()
            if not row.state.is_final
        ]
        open += [
            f"the code of {id}/{number} runs"
            for (id, number), attempt in self._ledger.attempts.items()
            if attempt.end is None and not attempt.machine.is_dead
        ]
        open += [
            f"schedule {id} is at {schedule.progress}"
            for id, schedule in self._world.store.all_schedules().items()
            if schedule.look_time is not None
        ]
        open += [
            f"a slot of {slot.key} is held for {slot.id} by {slot.node}"
            for slot in self._world.store.held_slots()
        ]
        if self._world.open_requests:
            open.append("requests of clients")
        open += [
            f"{subscriber.name} has not seen everything"
            for subscriber in self._world.subscribers.values()
            if not subscriber.has_seen_all()
        ]
        return open
