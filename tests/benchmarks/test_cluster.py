"""The programs behind docs/scale.md, each in a small form: they run, and count what they say."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from asyncio.subprocess import PIPE
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "scale.md").read_text(encoding="utf-8")


async def measured(program: str, *options: str) -> tuple[Any, str]:
    """What it prints as JSON, and beside it."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, f"benchmarks/{program}", *options), cwd=ROOT, stdout=PIPE, stderr=PIPE
    )
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return json.loads(out), err.decode()


def assert_rows_are_those_of_the_page(table: str) -> None:
    """A figure in its name may be another one."""
    for row in re.findall(r"^\| ([^|-]+) \|", table, re.MULTILINE):
        name = re.sub(r"\d+", "[0-9,]+", re.escape(row))
        assert re.search(rf"^\| {name} \|", PAGE, re.MULTILINE), row


@pytest.mark.timeout(240)
async def test_two_nodes_lose_nothing_and_start_nothing_twice_or_early() -> None:
    small = ("--creates=2000", "--burst=300", "--runs=1", "--rate=50", "--seconds=2")
    found, table = await measured("cluster.py", "--nodes", "2", *small)
    runs = found["nodes"]["2"]
    assert runs["creates"][0]["lost"] == 0
    for run in (runs["bursts"][0], runs["lateness"]):
        assert (run["lost"], run["twice"], run["early"]) == (0, 0, 0)
        assert len(run["shares"]) == 2, "one node has done it all"
    assert sum(runs["bursts"][0]["shares"]) == 300
    assert_rows_are_those_of_the_page(table)


async def test_calls_of_a_cluster_are_counted() -> None:
    found, table = await measured(
        "cluster_calls.py", "--nodes", "3", "--idle=20", "--rate=20", "--seconds=6"
    )
    three = found["3"]
    idle = three["idle_calls_per_node_and_second"]
    assert 0.9 < idle["beat"] == idle["nodes"] <= 1.0
    assert three["events_per_instance_and_node"] == 1.0
    assert 0 < three["failed_claims"]["steady"] < three["failed_claims"]["instances"]
    assert three["buckets"]["moved_by_a_join"] == pytest.approx(256 / 4, abs=5)
    assert_rows_are_those_of_the_page(table)


async def test_the_feed_is_measured() -> None:
    found, _ = await measured("cluster_feed.py", "--instances=1000", "--readers", "1", "2")
    assert found["bytes_per_event"] > 200
    for feed in ("news", "follow"):
        assert found[feed].keys() == {"1", "2"}
        assert all(one["node_cpu_us_per_instance"] > 0 for one in found[feed].values())
