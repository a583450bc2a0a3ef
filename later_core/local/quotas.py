"""How much each principal may have created by this node in a time."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from later_core.errors import QuotaExceeded
from later_core.local.pending import PendingLimits
from later_core.model.principal import Principal
from later_core.model.quota import NONE, OTHERS
from later_core.model.rate import RateLimit
from later_core.model.standing import Standing
from later_core.ports.clock import Clock, SystemClock

_NONE: Mapping[str, RateLimit | None] = MappingProxyType({})
#: Of so many principals it is remembered what they have taken; then those that owe nothing are forgotten.
_REMEMBERED = 10_000
_SECOND_US = 1_000_000


class Quotas:
    """A bucket of tokens a principal, which fills with its rate up to its burst; a create takes one.

    A batch larger than the burst is let in where the bucket is full, and what it takes beyond has to be
    earned before the next one. ``rates`` names principals, and with ``*`` all others; None: without a bound.
    What a token says goes before it.
    """

    def __init__(
        self,
        *,
        clock: Clock | None = None,
        rates: Mapping[str, RateLimit | None] = _NONE,
        pending: PendingLimits | None = None,
    ) -> None:
        #: The bound of what waits, beside that of creates.
        self.pending = pending
        self._clock = clock or SystemClock()
        self._rates = rates
        #: When the bucket of a principal is full again, in microseconds of the monotonic clock.
        self._full_at: dict[str, int] = {}

    def rate_of(self, who: Principal) -> RateLimit | None:
        """The rate that a principal is held to; None: to none."""
        if who.quota is not None and who.quota.create_rate is not None:
            return None if who.quota.create_rate == NONE else who.quota.create_rate
        return self._rates.get(who.name, self._rates.get(OTHERS)) if self._rates else None

    def standing_of(self, who: Principal) -> Standing:
        """A principal, and the bounds that it is held to."""
        return Standing(
            principal=who,
            create_rate=self.rate_of(who),
            max_pending=self.pending.limit_of(who) if self.pending else None,
        )

    def take(self, who: Principal, count: int) -> None:
        """Take tokens for so many creates.

        Raises:
            QuotaExceeded: none was taken.

        """
        rate = self.rate_of(who)
        if rate is None:
            return
        principal, now = who.name, self._now_us()
        full_at = max(self._full_at.get(principal, 0), now)
        wait = full_at + (min(count, rate.burst) - rate.burst) * rate.spacing_us - now
        if wait > 0:
            raise QuotaExceeded(principal, str(rate), wait / _SECOND_US)
        if len(self._full_at) >= _REMEMBERED:
            self._full_at = {who: full for who, full in self._full_at.items() if full > now}
        self._full_at[principal] = full_at + count * rate.spacing_us

    async def take_in_turn(self, who: Principal, count: int) -> None:
        """The same for a caller who holds his client back: it waits for the tokens."""
        while True:
            try:
                return self.take(who, count)
            except QuotaExceeded as error:
                wait = error.retry_after
            await self._clock.sleep(wait)

    def _now_us(self) -> int:
        return int(self._clock.monotonic() * _SECOND_US)
