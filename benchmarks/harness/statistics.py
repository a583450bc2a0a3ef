"""Pure arithmetic of figures: medians with their spread, quantiles, what was lost, twice or early."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

#: How many were lost, came twice, came early; None where the measure cannot tell.
Correctness = dict[str, int | None]

CORRECT: Correctness = {"lost": 0, "twice": 0, "early": 0}


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest of the sorted ``values`` that at least this share of them does not exceed.

    Raises:
        ValueError: there are none.

    """
    if not values:
        raise ValueError("no values")
    return values[max(0, math.ceil(share * len(values)) - 1)]


def spread(runs: Sequence[float], *, digits: int = 3) -> dict[str, Any]:
    """The median of several runs, the lowest, the highest, and the runs in their order."""
    rounded = [significant(run, digits) for run in runs]
    return {
        "median": significant(statistics.median(runs), digits),
        "low": min(rounded),
        "high": max(rounded),
        "runs": rounded,
    }


def significant(value: float, digits: int = 3) -> float:
    """Rounded to so many significant digits; whole numbers above them are kept."""
    if value == 0 or not math.isfinite(value):
        return value
    places = digits - 1 - math.floor(math.log10(abs(value)))
    return round(value, places) if places > 0 else float(round(value))


def of_lateness(late_ms: Iterable[float]) -> dict[str, float]:
    """Lateness in milliseconds: count, p50, p99, p99.9, max."""
    ordered = sorted(late_ms)
    return {
        "count": len(ordered),
        "p50_ms": round(quantile(ordered, 0.5), 3),
        "p99_ms": round(quantile(ordered, 0.99), 3),
        "p999_ms": round(quantile(ordered, 0.999), 3),
        "max_ms": round(ordered[-1], 3),
    }


def correctness(
    wanted: Collection[str], begun: Collection[str], late_ms: Iterable[float] = ()
) -> Correctness:
    """Compare the ids of what should have happened once with the ids of what happened."""
    times = Counter(begun)
    return {
        "lost": sum(1 for id in wanted if not times[id]),
        "twice": sum(times.values()) - len(times),
        "early": sum(1 for late in late_ms if late < 0),
    }


def together(counts: Iterable[Correctness]) -> Correctness:
    """Several counts as one; a question that one of them could not answer stays open."""
    total: Correctness = dict(CORRECT)
    for one in counts:
        for name in total:
            known, more = total[name], one[name]
            total[name] = None if known is None or more is None else known + more
    return total


def ratios(a: Sequence[float], b: Sequence[float]) -> list[float]:
    """Each run of ``a`` over the run of ``b`` beside it."""
    return [left / right for left, right in zip(a, b, strict=True)]


def in_words(
    values: dict[str, Any], show: Callable[[float], str] = "{:g}".format
) -> dict[str, str]:
    """Values as short text: a spread as its median and bounds, anything else as it is."""
    words = {}
    for name, value in values.items():
        match value:
            case {"median": median, "low": low, "high": high}:
                words[name] = f"{show(median)} ({show(low)} to {show(high)})"
            case float() | int():
                words[name] = show(value)
            case list():
                words[name] = "".join(f"\n      {one}" for one in value)
            case _:
                words[name] = str(value)
    return words
