"""What became of the jobs of a measure, by what they wrote down themselves.

Every job of every peer appends one line to a file the moment its code begins, ``s INDEX PLANNED BEGAN``, and
the peer's own event that the job has ended appends ``d INDEX ENDED``. Times are seconds since 1970. A line is
one ``write`` to a file opened for appending, so it survives kill -9 of the process that wrote it.
"""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

#: Lateness that grows by more than this each second: it does less than about 95 % of what is due.
SATURATED_SLOPE = 0.05
#: Half of the jobs begin later than that: whatever holds them up, it does not keep up.
SATURATED_P50_MS = 1_000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """One start of one job."""

    index: int
    planned: float
    began: float

    @property
    def late_ms(self) -> float:
        """How long after its time its code began; negative: too early."""
        return (self.began - self.planned) * 1e3


@dataclass(slots=True, kw_only=True)
class Account:
    """What is known of the jobs so far."""

    starts: list[Start] = field(default_factory=list)
    ended: dict[int, float] = field(default_factory=dict)

    def add(self, lines: Iterable[str]) -> None:
        """Take in lines of the file.

        Raises:
            ValueError: a line is none of a job's.

        """
        for line in lines:
            match line.split():
                case ["s", index, planned, began]:
                    self.starts.append(
                        Start(index=int(index), planned=float(planned), began=float(began))
                    )
                case ["d", index, ended]:
                    # The first time counts: a job that ran twice had ended before.
                    self.ended.setdefault(int(index), float(ended))
                case _:
                    raise ValueError(f"not a line of a job: {line!r}")

    @property
    def started(self) -> set[int]:
        """The jobs that began, however often."""
        return {start.index for start in self.starts}

    def missing(self, count: int) -> set[int]:
        """Those of the jobs 0 to count - 1 that never began."""
        return set(range(count)) - self.started

    @property
    def twice(self) -> int:
        """How many jobs began more than once."""
        return sum(times > 1 for times in Counter(start.index for start in self.starts).values())

    @property
    def early(self) -> int:
        """How many starts were before their time."""
        return sum(start.began < start.planned for start in self.starts)

    @property
    def last_started(self) -> float:
        """When the last job began."""
        return max(start.began for start in self.starts)

    @property
    def last_ended(self) -> float | None:
        """When the last job ended by the peer's own event; None if it told of none."""
        return max(self.ended.values(), default=None)


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest of the values that at least so many percent of them do not exceed.

    Raises:
        ValueError: there are no values, or the percentage is not in (0, 100].

    """
    if not values or not 0 < percent <= 100:
        raise ValueError("a percentile needs values, and a percentage above 0 and up to 100")
    return sorted(values)[math.ceil(len(values) * percent / 100) - 1]


def slope(starts: Sequence[Start]) -> float:
    """By how many seconds lateness grows each second that passes, over the first starts of jobs."""
    if len({start.planned for start in starts}) < 2:
        return 0.0
    fit = statistics.linear_regression(
        [start.planned for start in starts], [start.late_ms / 1e3 for start in starts]
    )
    return fit.slope


def first_starts(starts: Iterable[Start]) -> list[Start]:
    """The first start of each job, in order of the planned time."""
    first: dict[int, Start] = {}
    for start in starts:
        known = first.get(start.index)
        if known is None or start.began < known.began:
            first[start.index] = start
    return sorted(first.values(), key=lambda start: start.planned)


def lateness(starts: Iterable[Start]) -> dict[str, float]:
    """p50, p99 and max of the lateness of first starts in milliseconds, and how it grows."""
    firsts = first_starts(starts)
    late = [start.late_ms for start in firsts]
    return {
        "p50_ms": round(percentile(late, 50), 2),
        "p99_ms": round(percentile(late, 99), 2),
        "max_ms": round(max(late), 2),
        "slope": round(slope(firsts), 4),
    }


def is_saturated(found: dict[str, float]) -> bool:
    """Whether a series with this lateness shows a peer that does not keep up."""
    return found["slope"] > SATURATED_SLOPE or found["p50_ms"] > SATURATED_P50_MS
