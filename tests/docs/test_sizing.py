"""The page on sizing says what was measured, as the page of the benchmarks has it."""

from __future__ import annotations

import re
from pathlib import Path


def rows(page: Path) -> list[str]:
    return re.findall(r"^\| [\d,]+ \|.*$", page.read_text(encoding="utf-8"), re.MULTILINE)


def test_every_figure_of_the_table_is_one_of_the_benchmarks(root: Path):
    sizing, measured = rows(root / "docs" / "sizing.md"), rows(root / "docs" / "benchmarks.md")
    assert len(sizing) == 4
    assert [row for row in sizing if row not in measured] == []


def test_every_figure_of_the_text_stands_among_the_goals(root: Path):
    page = (root / "docs" / "sizing.md").read_text(encoding="utf-8")
    goals = (root / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    assert "132 MB for a million" in page
    assert "132 MB, " in goals
    assert "some 11,000 a second" in page
    assert re.search(r"\| 11,\d\d\d/s; ", goals)
