"""Who this node is, and until when it may trust that it still lives in the eyes of the others."""

from __future__ import annotations

from later_core.ports.clock import Clock


class Lease:
    """The local side of the node's lease.

    The database judges leases by its own clock. Locally the trust ends earlier, by the monotonic
    clock: ``asked_at + lease - margin``, where ``asked_at`` was read before the renewal was sent.
    So a node that cannot renew stops before anyone may take over, whatever the wall clocks say.
    """

    #: The share of the lease that is given up as margin.
    MARGIN = 0.2

    def __init__(self, clock: Clock, *, seconds: float) -> None:
        self._clock = clock
        self.seconds = seconds
        self.node = ""
        self._trusted_until = float("-inf")

    def renewed(self, node: str, asked_at: float) -> None:
        """The database has renewed the lease of this node; ``asked_at`` is monotonic seconds."""
        self.node = node
        self._trusted_until = asked_at + self.seconds * (1 - self.MARGIN)

    def lost(self) -> None:
        """Another node has declared this one dead, or it is leaving."""
        self._trusted_until = float("-inf")

    @property
    def is_held(self) -> bool:
        """Whether this node may start work at this moment."""
        return self._clock.monotonic() < self._trusted_until

    @property
    def remaining(self) -> float:
        """Seconds of trust left; negative once it has ended."""
        return self._trusted_until - self._clock.monotonic()
