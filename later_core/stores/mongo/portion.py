"""How many records a read asks for, so that what comes weighs about as much as a page.

A reply of the server may weigh 16 MiB whatever is done with it, and is held twice while it is decoded. A
thousand readers at once must not hold that each.
"""

from __future__ import annotations

from later_core.model.limits import RESPONSE_MAX_BYTES

#: A read asks for so many times as much as the one before it, at most.
_GROWTH = 8


class Portion:
    """Begins small, grows while records prove light, and shrinks at once where they are heavy."""

    def __init__(self, *, first: int, most: int) -> None:
        self._most = most
        #: To be asked for next.
        self.size = min(first, most)

    def learn(self, count: int, weight: int) -> None:
        """So many records have come, with so many bytes of parameters and results in all."""
        if count:
            fitting = RESPONSE_MAX_BYTES * count // max(weight, 1)
            self.size = max(1, min(self._most, self.size * _GROWTH, fitting))
