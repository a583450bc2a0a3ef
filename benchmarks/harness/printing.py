"""Rows as text for people."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.harness.rows import Row
from benchmarks.harness.statistics import in_words


def as_text(row: Row) -> str:
    """A row as a few lines: what was measured, each value on a line, faults, notes."""
    return "\n".join(_lines(row))


def _lines(row: Row) -> Iterator[str]:
    given = ", ".join(f"{name} {value}" for name, value in row.parameters.items())
    yield f"{row.program} / {row.measure}: {given}"
    words = in_words(dict(row.values))
    width = max(map(len, words), default=0)
    for name, value in words.items():
        yield f"    {name:<{width}}  {value}"
    counted = {name: "?" if count is None else count for name, count in row.correctness.items()}
    verdict = ", ".join(f"{name} {count}" for name, count in counted.items())
    yield f"    {'' if row.is_correct else 'WRONG: '}{verdict}"
    for note in row.notes:
        yield f"    ({note})"
