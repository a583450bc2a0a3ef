"""Who may begin on this node, of the tasks that have a concurrency limit or an open breaker."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from later_core.engine.breakers import Breakers
from later_core.local.runs import Place
from later_core.model.breaker import Breaker
from later_core.model.outcome import Outcome
from later_core.ports.clock import Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceRules:
    """By task, how many may run at once here, and when it is left alone."""

    limits: Mapping[str, int]
    breakers: Mapping[str, Breaker]


class Places:
    """The places of this node's tasks: in its memory alone, and so at the cost of no round trip.

    Whoever took one gives it back. While a breaker is open, its task has one place and no other: the
    probe's.
    """

    def __init__(self, rules: PlaceRules, *, clock: Clock) -> None:
        self._limits = rules.limits
        self._taken = dict.fromkeys(rules.limits, 0)
        self._clock = clock
        self._breakers = Breakers(rules.breakers, clock=clock, changed=self._note_change)
        #: The tasks whose instances need a place now.
        self.tasks: frozenset[str] = frozenset(rules.limits)
        #: Called when these are others.
        self.on_change: Callable[[], None] = lambda: None
        #: Whether any task has a breaker: without one nobody need note how attempts went.
        self.has_breakers = bool(self._breakers)

    @property
    def open(self) -> frozenset[str]:
        """The tasks whose breakers are open."""
        return self._breakers.open

    def is_open(self, task: str) -> bool:
        """Whether the task's breaker is open; may be asked from any thread."""
        return task in self._breakers.open

    def free_at(self, task: str) -> float:
        """When a place may be free, by the monotonic clock; infinity: once one is given back."""
        if self._is_full(task):
            return float("inf")
        return self._breakers.probe_at(task) if task in self.open else float("-inf")

    def room(self, task: str) -> int:
        """How many may begin now."""
        if self._is_full(task):
            return 0
        if task in self.open:
            return int(self._breakers.probe_at(task) <= self._clock.monotonic())
        return self._limits[task] - self._taken[task]

    def take(self, task: str) -> Place | None:
        """A place for one of the task; None where there is none."""
        if not self.room(task):
            return None
        place = Place(task=task, is_probe=task in self.open)
        if place.is_probe:
            self._breakers.begin_probe(task)
        if task in self._taken:
            self._taken[task] += 1
        return place

    def give_back(self, place: Place) -> None:
        """Its run is over, or never was."""
        if place.is_probe:
            self._breakers.end_probe(place.task)
        if place.task in self._taken:
            self._taken[place.task] -= 1

    def lets(self, task: str, place: Place | None) -> bool:
        """Whether one that is about to begin still may: a breaker may have opened since its claim."""
        if task not in self.tasks:
            return True
        return place is not None and (place.is_probe or task not in self.open)

    def note(self, task: str, outcome: Outcome, place: Place | None) -> None:
        """An attempt whose code had begun came to this."""
        self._breakers.note(task, outcome, is_probe=place is not None and place.is_probe)

    def _is_full(self, task: str) -> bool:
        return task in self._limits and self._taken[task] >= self._limits[task]

    def _note_change(self) -> None:
        self.tasks = self.open | self._limits.keys()
        self.on_change()
