"""Whoever is told what a node does: telemetry, where it is on.

A component has an observer or None, and does nothing more than ask which: so what nobody wants to know
costs nothing. No method raises, none waits, and each may be called from any thread.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Protocol

from later_core.model.instance import Instance
from later_core.model.state import State

#: Asked in a moment and from any thread; None says that there is none now.
Figure = Callable[[], float | None]
#: By name of the metric, its figure, or one for each value of its attribute.
Figures = Mapping[str, Figure | Mapping[str, Figure]]


class Span(Protocol):
    """One piece of work as a trace shows it."""

    @property
    def trace_parent(self) -> str:
        """Names this span to whoever works on its behalf (W3C Trace Context, ``traceparent``)."""
        ...

    def fail(self, reason: str, message: str) -> None:
        """Mark the work as failed, with a stable word and a sentence."""
        ...


class Observer(Protocol):
    """Is told of claims, starts and ends, of calls and runs, and may ask for figures."""

    def claimed(self, *, due: int, won: int) -> None:
        """A claim of so many that were due was answered with so many."""
        ...

    def started(self, task: str, late_seconds: float) -> None:
        """The code of an attempt begins, so long after its execution time."""
        ...

    def ended(self, task: str, state: State) -> None:
        """An attempt has ended durably; PENDING: another one follows."""
        ...

    def answered(self, operation: str, seconds: float, *, is_error: bool) -> None:
        """The database has answered an operation."""
        ...

    def watch(self, figures: Figures) -> None:
        """Ask for these figures whenever they are wanted."""
        ...

    def call(self, method: str, trace_parent: str | None) -> AbstractContextManager[Span]:
        """A call of this full name, made on behalf of the span that the client names (if any)."""
        ...

    def run(self, instance: Instance) -> AbstractContextManager[Span]:
        """The run of an attempt, on behalf of the span in which its instance was created."""
        ...
