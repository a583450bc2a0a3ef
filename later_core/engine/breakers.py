"""Which tasks are left alone for a while, since they crash again and again."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from datetime import timedelta

import structlog

from later_core.model.breaker import Breaker
from later_core.model.outcome import Failed, HandedBack, Outcome
from later_core.ports.clock import Clock

_log = structlog.get_logger(__name__)


class _Circuit:
    """The breaker of one task on this node."""

    def __init__(self, rule: Breaker) -> None:
        self.rule = rule
        #: When the last crashes in a row were, by the monotonic clock.
        self.crashes: deque[float] = deque(maxlen=rule.crashes)
        #: None: closed. Otherwise when the next probe may begin.
        self.opens_at: float | None = None
        self.cool_down = rule.cool_down
        self.is_probing = False


class Breakers:
    """A breaker for each task that has a rule: closed, open, or open with a probe under way.

    A crash is an attempt whose code gave way (``Failed.is_crash``). An attempt that succeeds, or fails as
    its author meant it to, shows that the task is sound. One that was aborted, taken back or never began
    shows neither.
    """

    def __init__(
        self, rules: Mapping[str, Breaker], *, clock: Clock, changed: Callable[[], None]
    ) -> None:
        self._circuits = {task: _Circuit(rule) for task, rule in rules.items()}
        self._clock = clock
        self._changed = changed
        #: The tasks whose breakers are open.
        self.open: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return bool(self._circuits)

    def probe_at(self, task: str) -> float:
        """When a probe of the open task may begin, by the monotonic clock; never while one runs."""
        circuit = self._circuits[task]
        if circuit.is_probing or circuit.opens_at is None:
            return float("inf")
        return circuit.opens_at

    def begin_probe(self, task: str) -> None:
        """One instance is let through."""
        self._circuits[task].is_probing = True

    def end_probe(self, task: str) -> None:
        """It is over; where it showed nothing, the next one is let through at once."""
        self._circuits[task].is_probing = False

    def note(self, task: str, outcome: Outcome, *, is_probe: bool) -> None:
        """An attempt of the task whose code had begun came to this."""
        circuit = self._circuits.get(task)
        if circuit is None or isinstance(outcome, HandedBack):
            return
        if circuit.opens_at is not None and not is_probe:
            return  # it began before: the probe tells how things are now
        if isinstance(outcome, Failed) and outcome.is_crash:
            self._note_crash(task, circuit)
        else:
            circuit.crashes.clear()
            if circuit.opens_at is not None:
                self._close(task, circuit)

    def _note_crash(self, task: str, circuit: _Circuit) -> None:
        now = self._clock.monotonic()
        if circuit.opens_at is not None:
            self._open(task, circuit, circuit.rule.after(circuit.cool_down))
            return
        circuit.crashes.append(now)
        within = circuit.rule.within.total_seconds()
        if len(circuit.crashes) == circuit.rule.crashes and now - circuit.crashes[0] <= within:
            self._open(task, circuit, circuit.rule.cool_down)

    def _open(self, task: str, circuit: _Circuit, cool_down: timedelta) -> None:
        circuit.cool_down = cool_down
        circuit.opens_at = self._clock.monotonic() + cool_down.total_seconds()
        _log.warning(
            "breaker open",
            task=task,
            rule=str(circuit.rule),
            next_try_seconds=cool_down.total_seconds(),
        )
        self._set_open(self.open | {task})

    def _close(self, task: str, circuit: _Circuit) -> None:
        circuit.opens_at = None
        _log.warning("breaker closed", task=task)
        self._set_open(self.open - {task})

    def _set_open(self, tasks: frozenset[str]) -> None:
        self.open = tasks
        self._changed()
