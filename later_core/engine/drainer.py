"""A node takes leave of its work: because it is to stop, or because somebody asked it to drain."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import structlog

from later_core.engine.dispatcher import Dispatcher
from later_core.engine.keeper import Keeper
from later_core.engine.planner import Planner
from later_core.engine.runner import Runner
from later_core.local.membership import Membership
from later_core.ports.clock import Clock

_log = structlog.get_logger(__name__)


class Drainer:
    """Tells the others, plans and claims nothing more, lets the running finish, hands back the rest.

    What is due meanwhile is not delayed: this node goes on claiming until the others have had two
    heartbeats' time to take over its share.
    """

    def __init__(
        self,
        *,
        keeper: Keeper,
        membership: Membership,
        planner: Planner,
        dispatcher: Dispatcher,
        runner: Runner,
        clock: Clock,
        grace: timedelta,
    ) -> None:
        self._keeper = keeper
        self._membership = membership
        self._planner = planner
        self._dispatcher = dispatcher
        self._runner = runner
        self._clock = clock
        self._grace = grace
        self._one_at_a_time = asyncio.Lock()
        self._has_let_go = False

    async def run(self) -> None:
        """Wait until somebody asks this node to drain (DrainNode), and do so."""
        await self._keeper.is_asked_to_drain.wait()
        _log.info("asked to drain")
        await self.drain(self._grace)
        await self._keeper.announce_drained()
        _log.info("drained")

    async def drain(self, grace: timedelta) -> None:
        """Return once nothing runs here, or what still does ignores its cancellation."""
        async with self._one_at_a_time:
            if not self._has_let_go:
                if self._membership.is_shared:
                    await self._keeper.announce_drain()
                    await self._clock.sleep(2 * self._keeper.pause)
                self._planner.stop()
                self._dispatcher.stop()
                await self._dispatcher.stopped.wait()
                self._has_let_go = True
            await self._runner.drain(grace)
