"""How often a task may start in the whole cluster: pure arithmetic of permits.

The generic cell rate algorithm: permits stand on a line of time, one every ``per / count``, and whoever
asks takes the next ones. Only the time of the next permit need be kept.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta

from later_core.model.duration import format_duration, parse_duration

_MICROSECOND = timedelta(microseconds=1)
_TEXT = re.compile(r"(?P<count>[0-9]{1,7}) */ *(?P<per>[^+ ]+)(?: *\+ *(?P<burst>[0-9]{1,7}))?")
_MOST = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimit:
    """At most ``count`` starts in ``per``, evenly spread.

    After a pause up to ``burst`` may start at once, so that within any ``per`` there are never more than
    ``count + burst`` permits.

    Raises:
        ValueError: a number below 1 or over a million, or a time below a millisecond or over a day.

    """

    count: int
    per: timedelta = timedelta(seconds=1)
    burst: int = 1

    def __post_init__(self) -> None:
        if not (1 <= self.count <= _MOST and 1 <= self.burst <= _MOST):
            raise ValueError("count and burst of a rate limit go from 1 to 1,000,000")
        if not timedelta(milliseconds=1) <= self.per <= timedelta(days=1):
            raise ValueError("the per of a rate limit goes from a millisecond to a day")

    @property
    def spacing_us(self) -> int:
        """From one permit to the next, in microseconds, rounded up."""
        return max(1, -(-(self.per // _MICROSECOND) // self.count))

    def in_hand(self, ahead: timedelta) -> int:
        """How many permits may be in one hand at the most, not used yet."""
        return self.burst + ahead // _MICROSECOND // self.spacing_us

    def __str__(self) -> str:
        burst = f"+{self.burst}" if self.burst > 1 else ""
        return f"{self.count}/{format_duration(self.per)}{burst}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Permits:
    """``count`` permits for starts at ``first_us``, ``first_us + spacing`` and so on, and not before.

    ``next_us`` is the time of the next one that anybody may get. Microseconds since the Unix epoch.
    """

    first_us: int
    count: int
    next_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Permit:
    """One permit in the hand of a node, for a start at ``at_ms`` or later; ``serial`` is the node's own."""

    task: str
    serial: int
    at_ms: float


def reserve(rate: RateLimit, *, next_us: int, now_us: int, count: int, ahead: timedelta) -> Permits:
    """The next permits, at most ``count`` of them, and none for later than ``ahead`` from now."""
    spacing = rate.spacing_us
    # What nobody took in time is lost, but for a burst.
    first = max(next_us, now_us - (rate.burst - 1) * spacing)
    free = (now_us + ahead // _MICROSECOND - first) // spacing + 1
    granted = min(count, max(0, free))
    return Permits(first_us=first, count=granted, next_us=first + granted * spacing)


def parse_rate(text: str) -> RateLimit:
    """The rate limit that a text names: ``10/s``, ``100/5m``, ``10/s+5`` (with a burst of 5).

    Raises:
        ValueError: it names none.

    """
    found = _TEXT.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text[:64]!r} is not a rate; write 10/s, 100/5m or 10/s+5")
    per = found["per"]
    return RateLimit(
        count=int(found["count"]),
        per=parse_duration(per if per[0].isdigit() else f"1{per}"),
        burst=int(found["burst"] or 1),
    )


def parse_rates(text: str, *, of: str = "task", such: str = "mail") -> dict[str, RateLimit | None]:
    """Rates by task: ``mail=10/s, http-post=none``; none lifts the limit that a task has.

    ``of`` something else: a complaint says so, with ``such`` as the name of one.

    Raises:
        ValueError: it names none, or a task twice.

    """
    rates: dict[str, RateLimit | None] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        task, equals, rate = (word.strip() for word in part.rpartition("="))
        if not task or not equals:
            raise ValueError(f"{part!r} is not {of}=rate; write {such}=10/s, or {such}=none")
        if task in rates:
            raise ValueError(f"{task!r} has two rates")
        rates[task] = None if rate == "none" else parse_rate(rate)
    return rates
