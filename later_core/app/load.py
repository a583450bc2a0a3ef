"""Where a node sees that it has too much to do."""

from __future__ import annotations

from later_core.engine.watchdog import Watchdog
from later_core.local.database_clock import DatabaseClock
from later_core.local.health import Health
from later_core.local.overload import Overload
from later_core.local.runs import Runs
from later_core.local.window import Window
from later_core.ports.clock import Clock

#: The entries of one claim. Fewer that wait, for a slow database, say, are no overload.
_BATCH = 1_000


def overload_of(
    window: Window,
    runs: Runs,
    health: Health,
    watchdog: Watchdog | None,
    clock: Clock,
    database_clock: DatabaseClock,
) -> Overload:
    """Sees the event loop, and the first that is due and not yet claimed."""

    def dispatch() -> float:
        due_ms = window.next_due()
        # With every place for runs taken it is the runs that are slow; with the database away, that.
        if due_ms is None or not runs.room or not health.is_serving or len(window) < _BATCH:
            return 0.0
        return max(0.0, (database_clock.now_ms() - due_ms) / 1000)

    return Overload(clock=clock, behind=(dispatch, *([watchdog.behind] if watchdog else [])))
