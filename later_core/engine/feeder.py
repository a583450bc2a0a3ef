"""Loop: keep the window filled from the store."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from functools import partial

import structlog

from later_core.local.database_clock import DatabaseClock
from later_core.local.lobby import Lobby
from later_core.local.membership import Membership, Share
from later_core.local.window import Window
from later_core.model.instant import from_millis, to_millis
from later_core.model.query import DueEntry
from later_core.ports.clock import Clock
from later_core.ports.store import Store

_log = structlog.get_logger(__name__)

#: Entries of one read: a dozen milliseconds of the event loop, and hardly a pause for others.
_PAGE = 4_000
#: The same where each entry is offered by itself, at more than twice the cost.
_PAGE_ONE_BY_ONE = 2_000

#: Between pulls that were asked for, in seconds: trouble that goes on must not mean pulling all the time.
_PAUSE = 1.0


class Feeder:
    """Pulls, every ``recurrence``, all that is due within the next ``time_ahead``, however old.

    What is due now and soon comes first, then the backlog of a downtime, as far as there is room
    for it; the rest of the backlog follows as the room grows. Of each, what has a priority is read first, by
    itself, since in order of time it may stand behind any number of others.
    """

    def __init__(
        self,
        *,
        store: Store,
        window: Window,
        lobby: Lobby,
        clock: Clock,
        database_clock: DatabaseClock,
        membership: Membership,
        recurrence: timedelta,
        time_ahead: timedelta,
    ) -> None:
        self._store = store
        self._window = window
        self._lobby = lobby
        self._clock = clock
        self._database_clock = database_clock
        self._membership = membership
        self._recurrence = recurrence
        self._time_ahead = time_ahead
        #: How far the backlog is read: of what has a priority (True), and of all.
        self._backlog_after: dict[tuple[Share, bool], DueEntry] = {}
        self._pulled_at = float("-inf")

    async def run(self) -> None:
        """Pull for ever.

        Raises:
            StoreUnavailable: run again; nothing is lost by beginning anew.
        """
        if not any(share.tasks for share in self._membership.shares):
            _log.warning("no task is installed: instances stay pending until a plugin provides one")
        while True:
            self._window.wants_more.clear()
            await self._pull()
            next_pull = self._clock.monotonic() + self._recurrence.total_seconds()
            while (left := next_pull - self._clock.monotonic()) > 0:
                if not await self._clock.wait(self._window.wants_more, left):
                    break
                self._window.wants_more.clear()
                if self._is_cut_short():
                    await self._clock.sleep(
                        max(0.0, self._pulled_at + _PAUSE - self._clock.monotonic())
                    )
                    break
                await self._pull_backlog(self._boundary())

    def _is_cut_short(self) -> bool:
        """Whether the window had no room for all that is near, or is in doubt whether it has it."""
        return self._window.is_doubted or self._window.horizon_ms < self._target_ms

    def _is_new(self, entry: DueEntry, touched: Collection[str]) -> bool:
        """Whether what was read is the latest word, and nothing that waits for a slot already."""
        return entry.id not in touched and not self._lobby.holds(entry.due_ms, entry.id)

    def _boundary(self) -> datetime:
        """What is due before this is backlog."""
        now_ms = int(self._database_clock.now_ms())
        return from_millis(now_ms - Window.OVERDUE_AFTER_MS)

    async def _pull(self) -> None:
        self._window.is_doubted = False
        self._pulled_at = self._clock.monotonic()
        boundary = self._boundary()
        until = self._database_clock.now() + self._time_ahead
        # Raised before reading: whatever is created from here on is offered by its creator, so
        # nothing can slip in behind the reader.
        self._target_ms = to_millis(until)
        self._window.horizon_ms = self._target_ms
        pulled = 0
        for share in self._membership.shares:
            for raised in (True, False):
                pulled += await self._pull_near(share, raised, since=boundary, until=until)
        self._backlog_after.clear()
        overdue = await self._pull_backlog(boundary)
        _log.debug("window pulled", near=pulled, overdue=overdue, size=len(self._window))

    async def _pull_near(
        self, share: Share, raised: bool, *, since: datetime, until: datetime
    ) -> int:
        read = partial(self._read, share, raised, since=since, until=until)
        count = 0
        # Noted without a gap: a page waits a turn or two before it is taken in.
        with self._window.touching() as touched:
            page = await read(after=None)
            # Of the next priority some may be due sooner, wherever the window ends.
            while page and (raised or self._window.covers(page[-1].due_ms)):
                try:
                    # The store looks for the next page while this one is taken in.
                    async with asyncio.TaskGroup() as group:
                        coming = group.create_task(read(after=page[-1]))
                        await self._clock.sleep(0)  # it is on its way
                        count += self._take(page, touched, raised=raised)
                except ExceptionGroup as failed:
                    raise failed.exceptions[0] from failed
                page = coming.result()
            return count + self._take(page, touched, raised=raised)

    async def _read(
        self,
        share: Share,
        raised: bool,
        *,
        since: datetime | None,
        until: datetime,
        after: DueEntry | None,
    ) -> Sequence[DueEntry]:
        read = self._store.raised if raised else self._store.due
        return await read(
            tasks=share.tasks,
            buckets=share.buckets,
            since=since,
            until=until,
            after=after,
            limit=_PAGE_ONE_BY_ONE if raised or since is None else _PAGE,
        )

    def _take(self, page: Sequence[DueEntry], touched: Collection[str], *, raised: bool) -> int:
        now_ms = self._database_clock.now_ms()
        if touched or len(self._lobby):
            page = [entry for entry in page if self._is_new(entry, touched)]
        if not raised:
            return self._window.offer_all(page, now_ms=now_ms)
        return sum(
            self._window.covers(entry.due_ms)
            # One that became overdue while it was read may be refused; those behind it are not.
            and self._window.offer(entry.due_ms, entry.id, now_ms=now_ms, priority=entry.priority)
            for entry in page
        )

    async def _pull_backlog(self, boundary: datetime) -> int:
        """Read on where the last read of the backlog ended, as far as there is room."""
        until = boundary - timedelta(milliseconds=1)
        return sum(
            [
                await self._pull_backlog_of(share, raised, until)
                for raised in (True, False)
                for share in self._membership.shares
            ]
        )

    async def _pull_backlog_of(self, share: Share, raised: bool, until: datetime) -> int:
        place = (share, raised)
        count = 0
        while self._window.backlog_room(raised=raised):
            after = self._backlog_after.get(place)
            with self._window.touching() as touched:
                page = await self._read(share, raised, since=None, until=until, after=after)
            if not page:
                return count
            now_ms = self._database_clock.now_ms()
            for entry in page:
                if self._is_new(entry, touched):
                    priority = entry.priority or None
                    if not self._window.offer(
                        entry.due_ms, entry.id, now_ms=now_ms, priority=priority
                    ):
                        return count
                    count += 1
                self._backlog_after[place] = entry
        self._window.cut_backlog(raised=raised)
        return count
