"""When a task that crashes again and again is left alone for a while: the rule, as a value."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta

from later_core.model.duration import format_duration, parse_duration

_TEXT = re.compile(r"(?P<crashes>[0-9]{1,4}) */ *(?P<within>[^+ ]+)(?: *\+ *(?P<cool_down>[^ ]+))?")
_MOST = 1_000
_LONGEST = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Breaker:
    """Opens after ``crashes`` in a row that lie within ``within``, first for ``cool_down``.

    Each time that the probe after it crashes too, the next cool-down is twice as long, but never longer
    than ``longest``.

    Raises:
        ValueError: a number below 1 or over a thousand, or a time below a millisecond or over a day.

    """

    crashes: int
    within: timedelta = timedelta(minutes=1)
    cool_down: timedelta = timedelta(seconds=30)

    def __post_init__(self) -> None:
        if not 1 <= self.crashes <= _MOST:
            raise ValueError("the crashes of a breaker go from 1 to 1,000")
        for name, time in (("within", self.within), ("cool_down", self.cool_down)):
            if not timedelta(milliseconds=1) <= time <= _LONGEST:
                raise ValueError(f"the {name} of a breaker goes from a millisecond to a day")

    @property
    def longest(self) -> timedelta:
        """The longest cool-down: 10 minutes, or the first one if that is longer."""
        return max(self.cool_down, timedelta(minutes=10))

    def after(self, cool_down: timedelta) -> timedelta:
        """The cool-down that follows upon this one."""
        return min(2 * cool_down, self.longest)

    def __str__(self) -> str:
        return f"{self.crashes}/{format_duration(self.within)}+{format_duration(self.cool_down)}"


def parse_breaker(text: str) -> Breaker:
    """The breaker that a text names: ``5/1m``, or ``5/1m+30s`` with its first cool-down.

    Raises:
        ValueError: it names none.

    """
    found = _TEXT.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text[:64]!r} is not a breaker; write 5/1m, or 5/1m+30s")
    crashes, within = int(found["crashes"]), parse_duration(found["within"])
    if found["cool_down"] is None:
        return Breaker(crashes=crashes, within=within)
    return Breaker(crashes=crashes, within=within, cool_down=parse_duration(found["cool_down"]))
