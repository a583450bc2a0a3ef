"""Where a node sees that it has too much to do, and that somebody has had his share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from later_core.engine.keeper import Keeper
from later_core.engine.watchdog import Watchdog
from later_core.local.database_clock import DatabaseClock
from later_core.local.health import Health
from later_core.local.membership import Membership
from later_core.local.overload import Overload
from later_core.local.pending import PendingLimits
from later_core.local.quotas import Quotas
from later_core.local.runs import Runs
from later_core.local.window import Window
from later_core.ports.clock import Clock
from later_core.ports.store import Store

if TYPE_CHECKING:
    from later_core.settings import Settings

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


def quotas_of(settings: Settings, store: Store, membership: Membership, clock: Clock) -> Quotas:
    """What each principal may have created, and pending, as the settings say."""
    return Quotas(
        clock=clock,
        rates=settings.create_rates,
        pending=PendingLimits(
            count=lambda principal, most: store.count_pending(principal, at_most=most),
            clock=clock,
            limits=settings.pending_limits,
            nodes=lambda: membership.living,
        ),
    )


async def join(keeper: Keeper, store: Store, settings: Settings) -> None:
    """Join the others, once what is limited can be counted.

    Raises:
        StoreUnavailable.
    """
    if any(settings.pending_limits.values()):
        # At the first create, over much that is stored, it would hold that up.
        await store.prepare_pending_counts()
    await keeper.join()
