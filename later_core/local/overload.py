"""Whether this node takes on more to create: not where memory or punctuality would suffer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import TracebackType

from later_core.errors import ServerOverloaded
from later_core.model.limits import CREATES_HELD, CREATES_HELD_BYTES
from later_core.ports.clock import Clock, SystemClock

#: How far behind, in seconds, the loop or the dispatcher may be at times, ...
_BEHIND = 0.5
#: ... and for how long without a break, in seconds, before new work is refused. One collection of garbage,
#: or one task that holds the loop, is no overload.
_PATIENCE = 0.5
#: A look that is older than this, in seconds, says nothing about what came in between.
_STALE = 2.0
#: What a client is asked to wait before it tries again: at least, and at most, in seconds.
_RETRY_MIN, _RETRY_MAX = 0.25, 5.0
#: How often one that waits, since its stream holds its client back already, looks again, in seconds.
_LOOK_EVERY = 0.05


class Load:
    """What somebody has taken on, given back at the end of the ``with``."""

    def __init__(self, overload: Overload, count: int, size: int) -> None:
        self._overload = overload
        self._count = count
        self._size = size
        self._is_carried = False

    def give_back(self) -> None:
        """It has been created, or not. A second call changes nothing."""
        self._overload.give_back(self._count, self._size)
        self._count = self._size = 0

    def drop(self) -> None:
        """The same, unless somebody is within the ``with``."""
        if not self._is_carried:
            self.give_back()

    def __enter__(self) -> None:
        self._is_carried = True

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.give_back()


class Overload:
    """Counts what is being created, and looks at how far behind the node is.

    ``behind`` are answers to "how many seconds too late is this at the moment?".
    """

    def __init__(
        self,
        *,
        clock: Clock | None = None,
        behind: Sequence[Callable[[], float]] = (),
        most: int = CREATES_HELD,
        most_bytes: int = CREATES_HELD_BYTES,
    ) -> None:
        self._clock = clock or SystemClock()
        self._behind = behind
        self._most = most
        self._most_bytes = most_bytes
        self._held = 0
        self._held_bytes = 0
        self._behind_since: float | None = None
        self._looked_at = float("-inf")
        #: How many requests have been refused since the start.
        self.refused = 0

    @property
    def held(self) -> tuple[int, int]:
        """How many instances are being created, and the bytes of their parameters."""
        return self._held, self._held_bytes

    def take(self, count: int, size: int) -> Load:
        """Take on the creation of so many instances with so many bytes of parameters.

        One request alone is always taken where nothing else is held, whatever its size.

        Raises:
            ServerOverloaded: nothing is taken on.

        """
        wait = self._wait(count, size)
        if wait is not None:
            self.refused += 1
            raise ServerOverloaded(wait)
        return self._note(count, size)

    async def take_in_turn(self, count: int, size: int) -> Load:
        """The same for a caller who holds his client back: it waits for room."""
        while self._wait(count, size) is not None:
            await self._clock.sleep(_LOOK_EVERY)
        return self._note(count, size)

    def give_back(self, count: int, size: int) -> None:
        """Said by a ``Load``."""
        self._held -= count
        self._held_bytes -= size

    def _note(self, count: int, size: int) -> Load:
        self._held += count
        self._held_bytes += size
        return Load(self, count, size)

    def _wait(self, count: int, size: int) -> float | None:
        """None: there is room. Else after how many seconds it is worth another try."""
        is_full = self._held + count > self._most or self._held_bytes + size > self._most_bytes
        if is_full and self._held:
            return _RETRY_MIN
        late = self._late_for_long()
        return None if late is None else min(_RETRY_MAX, max(_RETRY_MIN, 2 * late))

    def _late_for_long(self) -> float | None:
        """How far behind the node is, where it has been so at each look for a while."""
        late = max((look() for look in self._behind), default=0.0)
        now = self._clock.monotonic()
        is_first = late > _BEHIND and (self._behind_since is None or now - self._looked_at > _STALE)
        self._looked_at = now
        if late <= _BEHIND:
            self._behind_since = None
        elif is_first:
            self._behind_since = now
        since = self._behind_since
        return late if since is not None and now - since >= _PATIENCE else None
