from __future__ import annotations

from typing import Any

import pytest

from benchmarks import pages
from benchmarks.__main__ import PROGRAMS
from benchmarks.goals import GOALS, PEERS, find

Row = dict[str, Any]


@pytest.mark.parametrize("goal", GOALS, ids=lambda goal: goal.measure)
def test_a_goal_is_reached_by_a_report_that_reaches_all(goal: Any, good_report: Row):
    assert goal.judge(good_report["rows"]).is_reached


@pytest.mark.parametrize("goal", GOALS, ids=lambda goal: goal.measure)
def test_what_was_not_measured_is_not_reached(goal: Any):
    assert goal.judge([]) is None


def of(value: float) -> Row:
    return {"median": value, "low": value, "high": value, "runs": [value]}


def _slower(values: Row) -> None:
    for name, value in values.items():
        if name == "idle_mb" and "pending_mb" in values:
            continue  # the one is judged beside the other
        factor = 0.4 if name.endswith("per_second") or name.startswith("ratio") else 4.0
        values[name] = of(value["median"] * factor)


def _flat_no_more(rows: list[Row]) -> None:
    found = find(rows, "table", pending=10_000_000, rate=1_000)
    assert found is not None
    _slower(found["values"])


@pytest.mark.parametrize("goal", GOALS, ids=lambda goal: goal.measure)
def test_a_goal_is_missed_by_what_is_much_slower(goal: Any, good_report: Row):
    rows = good_report["rows"]
    if "within" in goal.wanted:
        _flat_no_more(rows)
    else:
        for one in rows:
            if one["program"] not in PEERS:
                _slower(one["values"])
    assert not goal.judge(rows).is_reached


@pytest.mark.parametrize(
    "goal",
    [goal for goal in GOALS if goal.wanted not in {"as idle", "<= 2, <= 3, <= 3"}],
    ids=lambda goal: goal.measure,
)
def test_a_goal_is_missed_when_anything_was_lost(goal: Any, good_report: Row):
    rows = good_report["rows"]
    for one in rows:
        one["correctness"]["lost"] = 1
    assert not goal.judge(rows).is_reached


@pytest.mark.parametrize("program", ["create_stream", "burst"])
@pytest.mark.parametrize(
    ("own", "pipe", "verdict"),
    [
        (0.3, 0.3, "reached by its ratio, the machine being slow"),
        (0.3, 0.9, "**missed**"),
        (0.3, 1.2, "**missed**"),
    ],
)
def test_a_rate_missed_on_a_slow_machine_is_told_by_its_share_of_the_bare_pipe(
    program: str, own: float, pipe: float, verdict: str, good_report: Row
):
    goal, bare, ratio, reference, wanted = {
        "create_stream": ("stream create", "bare_per_second", "ratio", 97_000, 50_000),
        "burst": ("burst: 20,000", "bare_same_per_second", "ratio_same", 23_000, 12_000),
    }[program]
    found = find(good_report["rows"], program)
    assert found is not None
    rate, floor = own * wanted * 1.05, pipe * reference
    found["values"] |= {"later_per_second": of(rate), bare: of(floor), ratio: of(rate / floor)}
    (line,) = [
        line for line in pages.goals(good_report).splitlines() if line.startswith(f"| {goal}")
    ]
    assert line.endswith(f"| {verdict} |")


def test_a_peer_that_is_nearly_as_fast_is_told_by_its_name(good_report: Row):
    found = find(good_report["rows"], "celery", measure="burst")
    assert found is not None
    found["values"]["ended_per_second"] = of(5_000)
    (line,) = [
        line for line in pages.goals(good_report).splitlines() if "burst beside peers" in line
    ]
    assert "2.6 x the 5,000/s of Celery" in line
    assert line.endswith("| **missed** |")


def test_a_page_gets_the_figures_between_its_marks_and_keeps_the_rest(good_report: Row):
    page = "".join(
        f"before\n<!-- figures: {name} -->\nold\n<!-- end of figures -->\nafter\n"
        for name in pages.FIGURES
    )
    written = pages.fresh(page, good_report)
    assert "old" not in written
    assert written.count("before\n") == written.count("after\n") == len(pages.FIGURES)
    assert "| 10,000,000 | 5,000 | 0.30 | 1.50 | 9.00 | 0.5 | 0.4 | 90 | 200 | 0, 0, 0 |" in written
    assert "reached" in written
    assert "**missed**" not in written
    assert pages.fresh(written, good_report) == written


def test_each_program_has_its_module_and_a_longer_form():
    for program in PROGRAMS:
        assert program.about.strip()
        assert program.short != program.full
