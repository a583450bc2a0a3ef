"""The database's time, as this node may rely on it: never ahead of it, hardly behind it."""

from __future__ import annotations

from collections import deque
from datetime import datetime, timedelta

from later_core.model.instant import EPOCH
from later_core.ports.clock import Clock

#: How far two quartz clocks may drift apart, in seconds a second.
_DRIFT = 50e-6
#: Older observations say nothing any more: the database's clock may have been set.
_MEMORY_SECONDS = 30.0
_MILLISECOND = timedelta(milliseconds=1)


class DatabaseClock:
    """Estimates the database's clock from its answers and this machine's monotonic clock.

    An answer D that arrived at the monotonic moment m proves that the database's clock showed at
    least D at m. The best of the recent proofs, less what the two clocks may have drifted since,
    is a lower bound: work that waits for it never starts early, whatever this machine's wall
    clock says. On a quiet connection the bound is a fraction of a millisecond behind.

    A database that shares this machine's wall clock (``is_shared``) need not be asked.
    """

    def __init__(self, clock: Clock, *, is_shared: bool = False) -> None:
        self._clock = clock
        self.is_shared = is_shared
        #: (monotonic moment, seconds between the monotonic clock and the Unix epoch)
        self._proofs: deque[tuple[float, float]] = deque(maxlen=64)
        self._offset = 0.0
        self._refreshed = 0.0

    @property
    def is_set(self) -> bool:
        """Whether the database has answered at least once."""
        return self.is_shared or bool(self._proofs)

    def observe(self, reported: datetime) -> None:
        """Take in an answer of the database that has just arrived."""
        if self.is_shared:
            return
        moment = self._clock.monotonic()
        self._proofs.append((moment, (reported - EPOCH).total_seconds() - moment))
        self._refresh(moment)

    def _refresh(self, moment: float) -> None:
        while len(self._proofs) > 1 and moment - self._proofs[0][0] > _MEMORY_SECONDS:
            self._proofs.popleft()
        self._offset = max(
            offset - _DRIFT * (moment - observed) for observed, offset in self._proofs
        )
        self._refreshed = moment

    def now_ms(self) -> float:
        """Milliseconds since the Unix epoch, with fractions.

        Raises:
            RuntimeError: nothing has been observed yet.
        """
        if self.is_shared:
            return (self._clock.now() - EPOCH) / _MILLISECOND
        if not self._proofs:
            raise RuntimeError("the database's clock has not been read yet")
        moment = self._clock.monotonic()
        bound = self._offset - _DRIFT * (moment - self._refreshed)
        return (moment + bound) * 1000.0

    def now(self) -> datetime:
        """The same as an instant, UTC."""
        return EPOCH + timedelta(milliseconds=self.now_ms())
