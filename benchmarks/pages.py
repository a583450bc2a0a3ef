"""Figures of a report as Markdown, between their marks on a page. Pure text."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from benchmarks.goals import GOALS, Figure, Rows, find, median

Report = Mapping[str, Any]

MARKED = re.compile(
    r"(?P<begin><!-- figures: (?P<name>[a-z-]+) -->\n).*?(?P<end><!-- end of figures -->)",
    re.DOTALL,
)
#: The drawings of the table: their files beside the page, and what they show.
PLOTS: Mapping[str, str] = {
    "lateness-by-pending.svg": "Lateness against what is pending, a line for each rate",
    "lateness-by-rate.svg": "Lateness against the rate, a line for each number of pending instances",
}
#: What stands where a report has nothing to say.
NOT_MEASURED = "not measured"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def goals(report: Report) -> str:
    """Each goal with what was measured."""
    lines = []
    for goal in GOALS:
        figure = goal.judge(report["rows"])
        lines.append(
            [
                goal.measure,
                goal.wanted,
                figure.text if figure else NOT_MEASURED,
                _verdict(figure) if figure else "",
            ]
        )
    return table(["measure", "goal", "measured", ""], lines)


def _verdict(figure: Figure) -> str:
    if figure.is_reached:
        return "reached"
    return "reached by its ratio, the machine being slow" if figure.is_by_ratio else "**missed**"


def lateness(report: Report) -> str:
    """The table: a line for every number of pending instances with every rate."""
    columns = ("p50_ms", "p99_ms", "max_ms")
    used = ("server_cores", "mongod_cores", "server_memory_mb", "mongod_memory_mb")
    lines = [
        [
            f"{row['parameters']['pending']:,}",
            f"{row['parameters']['rate']:,}",
            *(f"{median(row, name):.2f}" for name in columns),
            *(f"{median(row, name):g}" for name in used),
            ", ".join(f"{row['correctness'][name]}" for name in ("lost", "twice", "early")),
        ]
        for row in cells(report["rows"])
    ]
    head = ["pending", "due a second", "p50 ms", "p99 ms", "max ms", "cores: server", "mongod"]
    return table([*head, "MB: server", "mongod", "lost, twice, early"], lines)


def cells(rows: Rows) -> Rows:
    """The rows of the table."""
    return [row for row in rows if row["program"] == "table"]


def plots(report: Report) -> str:
    """The drawings of the table, where there is one."""
    if not cells(report["rows"]):
        return ""
    return "".join(f"![{text}]({name})\n\n" for name, text in PLOTS.items())


def made_on(report: Report) -> str:
    """Machine, versions, command."""
    machine, versions = report["machine"], report["versions"]
    named = ", ".join(f"{name} {version}" for name, version in versions.items())
    return (
        f"{machine['cores']} cores of {machine['processor']}, {machine['memory_mb']:,} MB,"
        f" {machine['system']}; {named}; seed {report['seed']};"
        f" `{' '.join(report['command'])}`, {report['began'][:10]}.\n"
    )


def profiles(report: Report) -> str:
    """CPU for each instance, and the top of each profile."""
    parts = []
    for measure in ("stream create", "claim, run, finish", "watch, one subscriber"):
        row = find(report["rows"], "profiles", measure=measure)
        if row is None:
            parts.append(f"{measure}: {NOT_MEASURED}.\n")
            continue
        values = row["values"]
        parts.append(
            f"{measure}: server {values['server_cpu_us_each']} µs, MongoDB"
            f" {values['mongod_cpu_us_each']} µs each. {values['by_library']}.\n\n"
            "```text\n" + "".join(f"{line.strip()}\n" for line in values["top"][:12]) + "```\n"
        )
    return "\n".join(parts)


FIGURES: Mapping[str, Callable[[Report], str]] = {
    "goals": goals,
    "lateness": lateness,
    "made-on": made_on,
    "plots": plots,
    "profiles": profiles,
}


def fresh(page: str, report: Report) -> str:
    """The page with the report's figures between its marks."""
    return MARKED.sub(
        lambda match: f"{match['begin']}{FIGURES[match['name']](report)}{match['end']}", page
    )
