"""How many instances of each principal may be PENDING at a time, in the whole cluster.

The rows are the truth: they are counted, and no counter beside them can drift. A count holds for a
second at most. Of the room that it leaves a node gives away no more than its share, by the number of
nodes, before it counts again; so a node alone never lets more in than the limit. Of several that let in
the same principal at once each can be behind by what the others let in since it counted, which is their
share: together they never let in twice the limit, as long as no write takes longer than a second.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, TypeVar

from later_core.errors import PendingLimitReached
from later_core.model.principal import Principal
from later_core.model.quota import NONE, OTHERS
from later_core.ports.clock import Clock, SystemClock

#: So long a count holds, in seconds.
_HOLDS = 1.0
#: Before a refusal it is counted anew, unless that was done within this time, in seconds.
_ASK_AGAIN = 0.1
#: When it is worth another try, in seconds.
_RETRY_AFTER = 1.0
#: Of so many principals it is remembered what was counted; then those of old counts are forgotten.
_REMEMBERED = 10_000

_UNLIMITED: Mapping[str, int | None] = MappingProxyType({})
_T = TypeVar("_T")

#: How many instances of a principal are PENDING, counted no further than this.
Count = Callable[[str, int], Awaitable[int]]


@dataclass(slots=True)
class _Seen:
    """What is known of one principal."""

    counting: asyncio.Lock = field(default_factory=asyncio.Lock)
    counted_at: float = float("-inf")
    limit: int = 0
    #: What this node may let in before it counts again.
    share: int = 0
    #: Let in here, and perhaps not stored yet.
    under_way: int = 0
    #: Whether the last count left no room at all.
    is_full: bool = False


class Held:
    """Places for ``count`` instances, let go once these are stored, or not."""

    def __init__(self, seen: _Seen, count: int) -> None:
        self.count = count
        self._seen = seen
        self._left = count
        self._is_carried = False

    async def until_done(self, work: Coroutine[Any, Any, _T]) -> _T:
        """What the work answers; with its end the places are let go."""
        self._is_carried = True
        try:
            return await work
        finally:
            self._let_go()

    def drop(self) -> bool:
        """Let the places go, unless ``until_done`` does; whether that was for us to do."""
        if self._is_carried:
            return False
        self._let_go()
        return True

    def _let_go(self) -> None:
        self._seen.under_way -= self._left
        self._left = 0


class PendingLimits:
    """``limits`` names principals, and with ``*`` all others; None: without a bound. What a token says
    goes before it. ``nodes`` answers how many nodes live.
    """

    def __init__(
        self,
        *,
        count: Count,
        clock: Clock | None = None,
        limits: Mapping[str, int | None] = _UNLIMITED,
        nodes: Callable[[], int] = lambda: 1,
    ) -> None:
        self._count = count
        self._clock = clock or SystemClock()
        self._limits = limits
        self._nodes = nodes
        self._seen: dict[str, _Seen] = {}

    def limit_of(self, who: Principal) -> int | None:
        """How many of its instances may be PENDING; None: any number."""
        if who.quota is not None and who.quota.max_pending is not None:
            return None if who.quota.max_pending == NONE else who.quota.max_pending
        return self._limits.get(who.name, self._limits.get(OTHERS)) if self._limits else None

    async def hold(self, who: Principal, count: int) -> Held | None:
        """Places for so many creates, all of them; None: nothing bounds this principal.

        Raises:
            PendingLimitReached: nothing is held.
            StoreUnavailable.

        """
        limit = self.limit_of(who)
        if limit is None:
            return None
        held = await self.hold_some(who, count, limit)
        if held.count < count:
            held.drop()
            raise self.refusal(who, limit)
        return held

    async def hold_some(self, who: Principal, count: int, limit: int) -> Held:
        """As many places as there are, up to ``count``.

        Raises:
            StoreUnavailable: nothing is held.

        """
        seen = self._seen_of(who.name)
        if self._is_fresh(seen, limit) and seen.share >= count:
            return Held(seen, self._let_in(seen, count))
        got = 0
        async with seen.counting:
            try:
                while got < count and await self._has_room(who, seen, limit):
                    got += self._let_in(seen, min(count - got, seen.share))
            except BaseException:
                seen.under_way -= got
                raise
        return Held(seen, got)

    def refusal(self, who: Principal, limit: int) -> PendingLimitReached:
        """What whoever found no place is told."""
        return PendingLimitReached(who.name, limit, _RETRY_AFTER)

    async def _has_room(self, who: Principal, seen: _Seen, limit: int) -> bool:
        """Whether there is a share to give from, counted anew where that may tell another story."""
        if self._is_fresh(seen, limit) and (seen.share or not self._may_ask_again(seen)):
            return seen.share > 0
        # What is under way counts, and once more if it is stored meanwhile: rather too much than too little.
        under_way, seen.share, now = seen.under_way, 0, self._clock.monotonic()
        room = limit - under_way - await self._count(who.name, limit)
        seen.counted_at, seen.limit, seen.is_full = now, limit, room <= 0
        seen.share = max(0, -(-room // max(1, self._nodes())))
        return seen.share > 0

    def _let_in(self, seen: _Seen, count: int) -> int:
        seen.share -= count
        seen.under_way += count
        return count

    def _is_fresh(self, seen: _Seen, limit: int) -> bool:
        return seen.limit == limit and self._clock.monotonic() - seen.counted_at < _HOLDS

    def _may_ask_again(self, seen: _Seen) -> bool:
        return not seen.is_full or self._clock.monotonic() - seen.counted_at >= _ASK_AGAIN

    def _seen_of(self, name: str) -> _Seen:
        seen = self._seen.get(name)
        if seen is None:
            if len(self._seen) >= _REMEMBERED:
                self._forget()
            seen = self._seen[name] = _Seen()
        return seen

    def _forget(self) -> None:
        now = self._clock.monotonic()
        self._seen = {
            name: seen
            for name, seen in self._seen.items()
            if seen.under_way or seen.counting.locked() or now - seen.counted_at < _HOLDS
        }
