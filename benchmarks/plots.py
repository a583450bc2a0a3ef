"""Draw the plots and write the figures of a report into docs/benchmarks.md.

    python -m benchmarks.plots RESULTS.json [MORE.json ...]

Several reports count as one: their rows together, the machine of the first. The same report gives
the same files, byte for byte.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.goals import Rows, median
from benchmarks.pages import cells, fresh

DOCS = Path(__file__).resolve().parents[1] / "docs"
PAGE = DOCS / "benchmarks.md"

_SIZE_INCHES = (7.0, 4.0)
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")


def together(reports: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Several reports as one."""
    return {**reports[0], "rows": [row for report in reports for row in report["rows"]]}


def draw(rows: Rows, *, across: str, line: str, labels: tuple[str, str], path: Path) -> None:
    """Lateness over one parameter, a line for each value of the other: p99 whole, p50 dashed."""
    import matplotlib as mpl

    mpl.use("svg")
    # Text stays text, and ids do not depend on chance.
    mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "later", "font.size": 10})
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=_SIZE_INCHES, layout="constrained")
    values = sorted({row["parameters"][line] for row in rows})
    for value, colour in zip(values, _COLOURS, strict=False):
        chosen = sorted(
            (row for row in rows if row["parameters"][line] == value),
            key=lambda row: int(row["parameters"][across]),
        )
        at = [row["parameters"][across] for row in chosen]
        for name, style in (("p99_ms", "-"), ("p50_ms", "--")):
            late = [median(row, name) for row in chosen]
            label = f"{value:,} {labels[1]}, {name[:3]}"
            axes.plot(at, late, style, color=colour, marker="o", markersize=4, label=label)
    axes.set(xscale="log", yscale="log", xlabel=labels[0], ylabel="lateness, ms")
    axes.yaxis.set_major_formatter("{x:g}")
    axes.grid(visible=True, which="major", alpha=0.3)
    ticks = sorted({row["parameters"][across] for row in rows})
    axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks], minor=False)
    axes.set_xticks([], minor=True)
    axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def main() -> None:
    """Write the page and the plots."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("reports", type=Path, nargs="+", metavar="RESULTS.json")
    parser.add_argument("--docs", type=Path, default=DOCS, help="where the page is")
    options = parser.parse_args()
    report = together([json.loads(path.read_text(encoding="utf-8")) for path in options.reports])
    page = options.docs / PAGE.name
    page.write_text(fresh(page.read_text(encoding="utf-8"), report), encoding="utf-8")
    rows = cells(report["rows"])
    if rows:
        draw(
            rows,
            across="pending",
            line="rate",
            labels=("pending instances", "due a second"),
            path=options.docs / "lateness-by-pending.svg",
        )
        draw(
            rows,
            across="rate",
            line="pending",
            labels=("due a second", "pending"),
            path=options.docs / "lateness-by-rate.svg",
        )


if __name__ == "__main__":
    main()
