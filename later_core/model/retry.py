"""When a failed attempt is tried again: pure arithmetic."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import timedelta

_HASH_BYTES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How often, and after how long, a failed attempt is followed by another.

    ``max_attempts`` counts the first attempt too: 1 means no retry. The backoff after attempt n is
    ``min_backoff * multiplier ** (n - 1)``, never more than ``max_backoff``. ``jitter``, from 0 to 1, is
    the share of it that is left to chance, so that what failed together is not tried again together.
    An attempt that fails with one of the ``final_reasons`` is not followed by another.
    """

    max_attempts: int = 1
    min_backoff: timedelta = timedelta(seconds=1)
    max_backoff: timedelta = timedelta(hours=1)
    multiplier: float = 2.0
    jitter: float = 0.1
    final_reasons: tuple[str, ...] = ()

    def allows_another(self, attempts: int, reason: str = "") -> bool:
        """Whether another attempt may follow after so many that count, the last of which failed with
        this reason.
        """
        return attempts < self.max_attempts and reason not in self.final_reasons

    def backoff(self, attempts: int, drawn: float = 0.0) -> timedelta:
        """How long to wait after so many failed attempts (from 1).

        ``drawn``, from 0 to 1, is how much of the jitter is taken off: the wait lies between
        ``backoff * (1 - jitter)`` and ``backoff``.
        """
        ceiling = self.max_backoff / self.min_backoff if self.min_backoff else 1.0
        factor = 1.0
        # Multiplied step by step, so that a huge attempt number cannot overflow a float power.
        for _ in range(attempts - 1):
            factor *= self.multiplier
            if factor >= ceiling or self.multiplier == 1.0:
                break
        longest = min(self.min_backoff * min(factor, ceiling), self.max_backoff)
        return longest - longest * (self.jitter * drawn)


def draw(id: str, attempt: int) -> float:
    """What chance decides for an attempt of an instance: a number from 0 to below 1.

    The same each time it is asked, so that an end that is written again is the same end, and spread
    evenly over instances and attempts.
    """
    digest = hashlib.blake2b(f"{id}\n{attempt}".encode(), digest_size=_HASH_BYTES).digest()
    # A float has 53 bits: of more of them the largest would be rounded to 1.
    return (int.from_bytes(digest) >> 11) / (1 << 53)


NO_RETRY = RetryPolicy()
