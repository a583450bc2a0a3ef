"""The page has a place for each figure that the programs can fill in, and names the programs that are."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.pages import FIGURES, MARKED, PLOTS

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")


def test_every_figure_has_its_place_once():
    assert sorted(match["name"] for match in MARKED.finditer(PAGE)) == sorted(FIGURES)


def test_every_program_that_the_page_names_is_there():
    named = set(re.findall(r"python -m (benchmarks[.\w]*)", PAGE))
    assert named >= {"benchmarks", "benchmarks.lateness", "benchmarks.plots"}
    for module in named:
        path = ROOT / module.replace(".", "/")
        assert path.with_suffix(".py").exists() or (path / "__main__.py").exists()


def test_the_plots_are_there_if_the_page_shows_them():
    for name in PLOTS:
        assert (ROOT / "docs" / name).exists() == (f"({name})" in PAGE)


def test_a_report_fills_in_the_page(good_report: dict[str, Any], tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="in the dependency group of the benchmarks alone")
    report = tmp_path / "report.json"
    report.write_text(json.dumps(good_report), encoding="utf-8")
    written = []
    for name in ("first", "second"):
        docs = tmp_path / name
        docs.mkdir()
        (docs / "benchmarks.md").write_text(PAGE, encoding="utf-8")
        command = [sys.executable, "-m", "benchmarks.plots", str(report), "--docs", str(docs)]
        subprocess.run(command, cwd=ROOT, check=True, timeout=100)
        written.append({path.name: path.read_bytes() for path in docs.iterdir()})
    assert written[0].keys() == {"benchmarks.md", *PLOTS}
    assert written[0] == written[1], "the same report gives the same files"
    for name in PLOTS:
        assert f"({name})" in written[0]["benchmarks.md"].decode()
