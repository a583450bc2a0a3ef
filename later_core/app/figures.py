"""The figures of a node that an observer may ask for, each under the name of its metric."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial

from later_core.engine.watchdog import Watchdog
from later_core.local.database_clock import DatabaseClock
from later_core.local.health import Health
from later_core.local.hub import Hub
from later_core.local.runs import Runs
from later_core.local.window import Window
from later_core.ports.clock import Clock
from later_core.ports.observer import Figure, Figures, Observer


def show_figures(
    observer: Observer | None,
    *,
    window: Window,
    runs: Runs,
    hub: Hub,
    several: Mapping[str, Mapping[str, Figure]],
    watchdog: Watchdog | None,
    health: Health,
    clock: Clock,
    database_clock: DatabaseClock,
) -> None:
    """Let the observer, if there is one, ask for them: each only reads, in a moment, in any thread.

    ``several`` has the figures of which there is one for each value of an attribute.
    """
    if observer is None:
        return
    shown: Figures = {
        "later.window.size": lambda: len(window),
        "later.window.backlog": lambda: window.backlog_size,
        "later.attempts.running": lambda: len(runs),
        "later.subscribers": lambda: len(hub),
        **several,
        "later.loop.lag": watchdog.take_longest if watchdog else lambda: None,
        "later.clock.offset": partial(_offset, clock, database_clock),
        "later.serving": lambda: float(health.is_serving),
    }
    observer.watch(shown)


def flags(names: Iterable[str], is_so: Callable[[str], bool]) -> Mapping[str, Figure]:
    """A figure for each name: 1 while it is so, else 0. Numbers, since no metric can hold a bool."""

    def flag(name: str) -> float:
        return float(is_so(name))

    return {name: partial(flag, name) for name in names}


def _offset(clock: Clock, database_clock: DatabaseClock) -> float | None:
    """The wall clock of this machine less the clock of the database, in seconds."""
    if not database_clock.is_set:
        return None
    return (clock.now() - database_clock.now()).total_seconds()
