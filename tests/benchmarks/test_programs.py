"""Each program of the benchmarks, at the smallest size, on a real server: it measures, and finds no fault."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

#: In the dependency group of the benchmarks alone.
SPY = Path(sys.executable).with_name("py-spy")
ROOT = Path(__file__).resolve().parents[2]

SMALLEST = {
    "create_stream": "--batches 1 --runs 1",
    "create_unary": "--in-flight 1 4 --seconds 0.2 --runs 1",
    "burst": "--count 200 --runs 1",
    "timers": "--rates 100 --seconds 1",
    "lateness": "--pending 100 --rates 50 --seconds 1",
    "table": "--pending 100 200 --rates 20 --seconds 1",
    "startup": "--pending 100 --runs 1",
    "window": "--count 3000",
    "memory": "--pending 100",
    "watch": "--subscribers 2 --rate 50 --seconds 1 --missed 2000 --live-rate 2000",
    "round_trips": "--batches 1",
    "transfer": "--count 20000",
}
ROWS = {"create_unary": 2, "table": 2, "watch": 3}


def run(module: str, *arguments: str) -> None:
    subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT,
        check=True,
        timeout=100,
    )


def report(path: Path) -> dict[str, Any]:
    written: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return written


@pytest.mark.parametrize("program", SMALLEST)
def test_a_program_measures_and_finds_no_fault(
    program: str, mongodb_uri: str, tmp_path: Path
) -> None:
    path = tmp_path / "report.json"
    arguments = ["--mongodb-uri", mongodb_uri, "--json", str(path), *SMALLEST[program].split()]
    run(f"benchmarks.{program}", *arguments)
    rows = report(path)["rows"]
    assert len(rows) == ROWS.get(program, 1)
    for row in rows:
        assert row["program"] == program
        assert row["values"]
        assert row["correctness"] == {"lost": 0, "twice": 0, "early": 0}


@pytest.mark.skipif(os.geteuid() != 0 or not SPY.exists(), reason="needs py-spy, and root")
def test_a_profile_tells_where_the_time_goes(mongodb_uri: str, tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    sizes = ["--created", "20000", "--run", "2000", "--watched", "4000", "--top", "5"]
    run("benchmarks.profiles", "--mongodb-uri", mongodb_uri, "--json", str(path), *sizes)
    create, run_, watch = report(path)["rows"]
    for row in (create, run_, watch):
        assert row["values"]["samples"] > 20
        assert len(row["values"]["top"]) == 5
        assert "later_core" in row["values"]["by_library"]


def test_all_run_by_one_command_on_a_mongodb_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    run("benchmarks", "--only", "round_trips", "--seed", "7", "--json", str(path))
    written = report(path)
    assert written["seed"] == 7
    assert written["versions"]["mongodb"]
    assert [row["program"] for row in written["rows"]] == ["round_trips"]
    # Nothing of this place: reports are published.
    assert str(ROOT) not in path.read_text(encoding="utf-8")
