"""A report that reaches every goal."""

from __future__ import annotations

import copy
from typing import Any

import pytest

Row = dict[str, Any]


def of(runs: float) -> Row:
    return {"median": runs, "low": runs, "high": runs, "runs": [runs]}


def row(program: str, measure: str, parameters: Row, **values: float) -> Row:
    return {
        "program": program,
        "measure": measure,
        "parameters": parameters,
        "values": {name: of(value) for name, value in values.items()},
        "correctness": {"lost": 0, "twice": 0, "early": 0},
        "notes": [],
    }


def unary(in_flight: int) -> Row:
    return row(
        "create_unary",
        "unary create",
        {"in_flight": in_flight},
        later_per_second=3_000,
        ratio=1.6,
        p50_over_insert=1.4,
        later_p50_ms=1.4,
        insert_p50_ms=1.0,
    )


def late(pending: int, rate: int) -> Row:
    used = {
        "server_cores": 0.5,
        "mongod_cores": 0.4,
        "server_memory_mb": 90,
        "mongod_memory_mb": 200,
    }
    times = {"p50_ms": 0.3, "p99_ms": 1.5, "max_ms": 9.0}
    return row("table", "lateness", {"pending": pending, "rate": rate}, **times, **used)


GOOD = [
    row(
        "create_stream",
        "stream create",
        {},
        later_per_second=60_000,
        bare_per_second=90_000,
        ratio=0.66,
    ),
    *(unary(in_flight) for in_flight in (1, 64, 256)),
    row("burst", "burst", {}, later_per_second=13_000, ratio_same=0.6, bare_same_per_second=22_000),
    row("apscheduler3", "burst", {}, ended_per_second=2_000),
    row("celery", "burst", {}, ended_per_second=1_500),
    {
        **row("apscheduler3", "lateness", {"rate": 1_000}),
        "values": {"p99_ms": 5.3, "saturated": False},
    },
    {**row("celery", "lateness", {"rate": 1_000}), "values": {"p99_ms": 1.0, "saturated": True}},
    row("timers", "bare event loop", {"rate": 1_000}, p50_ms=0.1, p99_ms=0.4),
    *(
        late(pending, rate)
        for pending in (10_000, 1_000_000, 10_000_000)
        for rate in (100, 1_000, 2_000, 5_000)
    ),
    row(
        "window",
        "one window",
        {"count": 1_000_000},
        above_idle_mb=140,
        pull_seconds=6,
        longest_pause_ms=30,
    ),
    row("memory", "memory", {"pending": 10_000_000}, idle_mb=80.0, pending_mb=80.5),
    row("startup", "start", {"pending": 1_000_000}, seconds=0.8, idle_mb=75),
    row(
        "watch",
        "many subscribers",
        {},
        delay_p99_ms=30,
        lateness_p99_ms_without=2.0,
        lateness_p99_ms_with=2.5,
    ),
    row("watch", "one subscriber reads what it missed", {}, events_per_second=30_000),
    row("watch", "one subscriber follows", {}, events_per_second=21_000),
    row("round_trips", "round trips", {}, create=1, claim=2, finish=1),
]
REPORT: Row = {
    "rows": GOOD,
    "machine": {"cores": 2, "processor": "a processor", "memory_mb": 24_000, "system": "Linux 6"},
    "versions": {"python": "3.11.2"},
    "seed": 0,
    "command": ["python", "-m", "benchmarks"],
    "began": "2030-01-01T00:00:00+00:00",
}


@pytest.fixture
def good_report() -> Row:
    """Of the test's own."""
    return copy.deepcopy(REPORT)
