"""When a failed attempt is tried again: pure arithmetic."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How often, and after how long, a failed attempt is followed by another.

    ``max_attempts`` counts the first attempt too: 1 means no retry. The backoff after attempt n is
    ``min_backoff * multiplier ** (n - 1)``, never more than ``max_backoff``.
    """

    max_attempts: int = 1
    min_backoff: timedelta = timedelta(seconds=1)
    max_backoff: timedelta = timedelta(hours=1)
    multiplier: float = 2.0

    def allows_another(self, attempts: int) -> bool:
        """Whether another attempt may follow after so many that count."""
        return attempts < self.max_attempts

    def backoff(self, attempts: int) -> timedelta:
        """How long to wait after so many failed attempts (from 1)."""
        ceiling = self.max_backoff / self.min_backoff if self.min_backoff else 1.0
        factor = 1.0
        # Multiplied step by step, so that a huge attempt number cannot overflow a float power.
        for _ in range(attempts - 1):
            factor *= self.multiplier
            if factor >= ceiling or self.multiplier == 1.0:
                break
        return min(self.min_backoff * min(factor, ceiling), self.max_backoff)


NO_RETRY = RetryPolicy()
