"""Rows of results as tables in Markdown, one for each measure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

Row = dict[str, Any]


def tables(rows: Sequence[Row]) -> str:
    """A table for each measure, in the order in which they came."""
    measures = dict.fromkeys(row["measure"] for row in rows)
    parts = [_table(name, [row for row in rows if row["measure"] == name]) for name in measures]
    return "\n\n".join(parts)


def line(row: Row) -> str:
    """One row on one line, to watch a run by."""
    found = {**row["values"], **row["correctness"]}
    said = ", ".join(f"{name} {cell(value)}" for name, value in found.items())
    rate = f" at {row['parameters']['rate']}/s" if "rate" in row["parameters"] else ""
    return f"{row['program']}: {row['measure']}{rate}: {'; '.join(filter(None, [said, *row['notes']]))}"


def cell(value: Any) -> str:
    """A value as people read it: thousands apart, no digits that mean nothing."""
    match value:
        case None:
            return "none"
        case bool():
            return "yes" if value else "no"
        case [low, high]:
            return f"{cell(low)} to {cell(high)}"
        case int() | float():
            return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:,.3g}"
    return str(value)


def _table(measure: str, rows: Sequence[Row]) -> str:
    parameters = _names(row["parameters"] for row in rows if measure == "lateness")
    shown = [name for name in parameters if name == "rate"]
    values = _names(row["values"] for row in rows)
    counts = _names(row["correctness"] for row in rows)
    head = ["program", *shown, *values, *counts, "notes"]
    body = [
        [
            row["program"],
            *(cell(row["parameters"].get(name)) for name in shown),
            *(cell(row["values"][name]) if name in row["values"] else "" for name in values),
            *(
                cell(row["correctness"][name]) if name in row["correctness"] else ""
                for name in counts
            ),
            "; ".join(row["notes"]),
        ]
        for row in rows
    ]
    # Written out: a dash under each head, and a bar between the cells.
    lines = [head, ["---"] * len(head), *body]
    return f"**{measure}**\n\n" + "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _names(found: Iterable[Row]) -> list[str]:
    return list(dict.fromkeys(name for each in found for name in each))
