"""Loop: renew this node's lease, and take over from the dead."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import structlog

from later_core.engine.surroundings import Surroundings
from later_core.errors import StoreUnavailable
from later_core.local.database_clock import DatabaseClock
from later_core.local.health import Health
from later_core.local.lease import Lease
from later_core.local.runs import Runs, Stop
from later_core.model.node import Node
from later_core.model.state import State
from later_core.ports.clock import Clock
from later_core.ports.store import Store

_log = structlog.get_logger(__name__)

_RECOVER_LIMIT = 1_000
#: Beats also tell the database's time and whether it answers: at least one a second.
_LONGEST_PAUSE = 1.0


class Keeper:
    """Keeps the lease; declares itself fenced when it cannot; recovers what dead nodes held."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        database_clock: DatabaseClock,
        lease: Lease,
        health: Health,
        runs: Runs,
        surroundings: Surroundings,
        describe: Callable[[], Node],
    ) -> None:
        self._store = store
        self._clock = clock
        self._database_clock = database_clock
        self._lease = lease
        self._health = health
        self._runs = runs
        self._surroundings = surroundings
        self._describe = describe
        self._node = describe()
        self._address = self._node.address
        #: Seconds between two heartbeats; within two of them every node knows of a change.
        self.pause = min(lease.seconds / 4, _LONGEST_PAUSE)
        self._fenced = False
        self._is_draining = False
        self._is_drained = False
        #: Set once somebody has asked this node to drain (DrainNode).
        self.is_asked_to_drain = asyncio.Event()

    def answers_at(self, address: str) -> None:
        """Where this node answers, as far as that was not known before; told by the next heartbeat."""
        self._address = address

    async def join(self) -> None:
        """Begin the lease and learn the database's time; before anything else starts.

        Raises:
            StoreUnavailable: the database does not answer.
        """
        # A few quick answers bring the estimate of the clock close to the truth.
        for _ in range(8):
            self._database_clock.observe(await self._store.now())
        await self._beat()

    async def run(self) -> None:
        """Loop: beat, and every half lease recover what dead nodes held, slots included."""
        recover_at = self._clock.monotonic()
        while True:
            try:
                await self._beat()
                if self._clock.monotonic() >= recover_at:
                    await self._recover()
                    await self._store.free_slots()
                    recover_at = self._clock.monotonic() + self._lease.seconds / 2
            except StoreUnavailable as error:
                self._health.store_answers(False)
                self._surroundings.missed()  # what was recovered without an answer is pending
                _log.warning("heartbeat failed", trust=self._lease.remaining, detail=error.detail)
            await self._clock.sleep(self.pause)

    async def guard(self) -> None:
        """Loop: stop what runs in the very moment when the trust in the lease ends.

        A heartbeat may hang for longer than the lease lasts, so it cannot be the one to notice.
        """
        while True:
            remaining = self._lease.remaining
            await self._clock.sleep(remaining if remaining > 0 else self.pause)
            if not self._lease.is_held:
                self._fence()

    async def announce_drain(self) -> None:
        """Tell the others, with a heartbeat at once, that this node takes on no more work."""
        self._is_draining = True
        await self._announce()

    async def announce_drained(self) -> None:
        """Tell the others that this node has let go of everything and takes on nothing more."""
        self._is_draining = self._is_drained = True
        await self._announce()

    async def _announce(self) -> None:
        try:
            await self._beat()
        except StoreUnavailable as error:
            # The next heartbeat that is answered tells it all the same.
            _log.warning("drain not announced", detail=error.detail)

    async def leave(self) -> None:
        """Give the lease back, so that nobody waits for it to run out."""
        self._health.store_answers(False)
        self._lease.lost()
        try:
            await self._store.leave(self._node.id)
        except StoreUnavailable as error:
            _log.warning("leaving failed", detail=error.detail)

    async def _beat(self) -> None:
        asked_at = self._clock.monotonic()
        node = replace(
            self._node,
            address=self._address,
            window_size=self._surroundings.window_size,
            running=len(self._runs),
            is_draining=self._is_draining,
            is_drained=self._is_drained,
            clock_offset=self._clock.now() - self._database_clock.now(),
        )
        now = await self._store.beat(node, lease=timedelta(seconds=self._lease.seconds))
        if now is None:
            # Others have taken over what this node held: it lives on as somebody else.
            _log.error("declared dead by another node", node=self._node.id)
            self._lease.lost()
            self._fence()
            self._node = self._describe()
            return
        self._database_clock.observe(now)
        self._lease.renewed(self._node.id, asked_at)
        self._fenced = False
        self._health.store_answers(True)
        # A heartbeat is a write, answered milliseconds after its time was taken.
        self._database_clock.observe(await self._store.now())
        await self._look_around()

    async def _look_around(self) -> None:
        """Who else lives, and what is said to this node."""
        statuses = await self._store.nodes()
        self._surroundings.update(self._node.id, statuses)
        for status in statuses:
            if status.node.id == self._node.id and status.is_asked_to_drain:
                self.is_asked_to_drain.set()

    def _fence(self) -> None:
        """Stop what runs: another node may start it again from here on."""
        if not self._fenced and len(self._runs):
            _log.error("lease lost, runs are stopped", node=self._node.id, runs=len(self._runs))
            self._runs.stop_all(Stop.FENCED)
        self._fenced = True

    async def _recover(self) -> None:
        while True:
            recovered = await self._store.recover(limit=_RECOVER_LIMIT)
            if recovered:
                _log.warning("instances of lost nodes recovered", count=len(recovered))
            for instance in recovered:
                if instance.state is State.PENDING:
                    self._surroundings.offer(instance)
            if len(recovered) < _RECOVER_LIMIT:
                return
