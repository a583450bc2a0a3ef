"""What happened, line by line: the one thing that a failing seed has to show."""

from __future__ import annotations

from datetime import datetime

from later_core.testing.clock import FakeClock


class History:
    """Lines in order of time. They are made into text only when somebody reads them."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self._start = clock.now()
        self.is_over = False
        self._lines: list[tuple[datetime, str, str, tuple[object, ...]]] = []

    def add(self, who: str, what: str, *details: object) -> None:
        """One line; ``details`` are values that never change."""
        if not self.is_over:
            self._lines.append((self._clock.now(), who, what, details))

    def end(self) -> None:
        """Nothing that comes after this belongs to it."""
        self.is_over = True

    def lines(self) -> list[str]:
        """Seconds since the beginning, who, what."""
        return [
            f"{(at - self._start).total_seconds():9.3f}  {who:<8} {what}"
            + "".join(f" {detail}" for detail in details)
            for at, who, what, details in self._lines
        ]
