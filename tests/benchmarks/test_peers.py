"""What of the peers' benchmark needs no peer: the account of starts, statistics, tables, the command."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.peers.account import (
    SATURATED_SLOPE,
    Account,
    Start,
    first_starts,
    is_saturated,
    lateness,
    percentile,
    slope,
)
from benchmarks.peers.contract import Jobs, Unavailable
from benchmarks.peers.environments import node_environment
from benchmarks.peers.measures import Result
from benchmarks.peers.program import PROGRAMS, answer_of, running
from benchmarks.peers.runner import measure_peers, together
from benchmarks.peers.table import cell, line, tables
from benchmarks.peers.trial import Starts, Trial

ROOT = Path(__file__).resolve().parents[2]


def account(*lines: str) -> Account:
    found = Account()
    found.add(lines)
    return found


def trial(found: Account, count: int, *, stored: set[int]) -> Trial:
    jobs = Jobs(count=count, due=10.0)
    return Trial(jobs=jobs, account=found, add_seconds=1.0, stored=frozenset(stored))


def test_a_job_that_never_began_and_is_kept_nowhere_is_lost():
    found = account("s 0 10.000 10.1", "d 0 10.2", "s 2 10.000 10.3", "d 2 10.4")
    over = trial(found, 4, stored=set())
    assert over.correctness == {"lost": 2, "twice": 0, "early": 0}
    assert over.not_done == 0


def test_a_job_that_never_began_but_is_kept_is_not_called_lost():
    over = trial(account("s 0 10.000 10.1"), 4, stored={1, 3})
    assert (over.lost, over.not_done) == (1, 2)


def test_a_job_that_began_and_is_kept_is_neither_lost_nor_left():
    over = trial(account("s 0 10.000 10.1", "s 1 10.000 10.1"), 3, stored={0, 1})
    assert (over.lost, over.not_done) == (1, 0)


def test_a_job_that_began_more_than_once_counts_once_as_twice():
    found = account(*["s 1 10.000 10.1"] * 3, "s 2 10.000 10.1")
    assert found.twice == 1
    assert found.missing(3) == {0}


def test_a_start_before_its_time_is_early_and_one_on_its_time_is_not():
    found = account("s 0 10.000 9.999999", "s 1 10.000 10.000000", "s 2 10.000 10.000001")
    assert found.early == 1


def test_a_job_that_ran_again_had_ended_the_first_time():
    found = account("s 0 10.0 10.1", "d 0 10.2", "s 0 10.0 40.1", "d 0 40.2")
    assert found.last_ended == 10.2


def test_a_line_of_something_else_is_refused():
    with pytest.raises(ValueError, match="not a line of a job: 'Traceback'"):
        account("Traceback")


def test_a_line_that_is_not_whole_yet_is_read_later(tmp_path: Path):
    path = tmp_path / "starts"
    starts = Starts(path)
    assert not starts.read()
    path.write_text("s 0 10.0 10.1\ns 1 10.0 1", encoding="utf-8")
    assert starts.read()
    assert starts.account.started == {0}
    with path.open("a", encoding="utf-8") as file:
        file.write("0.2\n")
    assert starts.read()
    assert [start.began for start in starts.account.starts] == [10.1, 10.2]
    assert not starts.read()


async def test_following_ends_when_all_have_ended(tmp_path: Path):
    path = tmp_path / "starts"
    path.write_text("s 0 10.0 10.1\nd 0 10.2\n", encoding="utf-8")
    now = time.time()  # noqa: TID251 -- what the programs write is compared with the real clock
    starts = Starts(path)
    await starts.follow(1, after=now, quiet_seconds=60, until=now + 60, to_the_end=False)
    assert starts.account.started == {0}


@pytest.mark.parametrize(("quiet_seconds", "until"), [(1, 60), (120, -1)])
async def test_following_ends_when_nothing_moves_and_when_the_time_is_over(
    tmp_path: Path, quiet_seconds: float, until: float
):
    now = time.time()  # noqa: TID251 -- what the programs write is compared with the real clock
    starts = Starts(tmp_path / "starts")
    await starts.follow(
        1, after=now - 60, quiet_seconds=quiet_seconds, until=now + until, to_the_end=True
    )
    assert starts.account.starts == []


@given(st.lists(st.floats(-1e6, 1e6), min_size=1), st.floats(0.1, 100))
def test_a_percentile_is_a_value_that_enough_others_do_not_exceed(
    values: list[float], percent: float
):
    found = percentile(values, percent)
    assert found in values
    assert sum(value <= found for value in values) >= len(values) * percent / 100 - 1e-9
    assert sum(value < found for value in values) < len(values) * percent / 100 + 1e-9


@pytest.mark.parametrize(("values", "percent"), [([], 50), ([1.0], 0), ([1.0], 101)])
def test_a_percentile_of_nothing_is_refused(values: list[float], percent: float):
    with pytest.raises(ValueError, match="a percentile needs"):
        percentile(values, percent)


def series(rate: float, done_per_second: float) -> list[Start]:
    """Jobs due at that rate, of which so many begin each second."""
    return [
        Start(index=at, planned=100 + at / rate, began=100 + at / min(rate, done_per_second))
        for at in range(200)
    ]


def test_what_keeps_up_does_not_fall_behind():
    assert slope(series(100, 100)) == pytest.approx(0)
    assert slope(series(100, 1_000)) == pytest.approx(0)


def test_what_does_half_of_what_is_due_falls_behind_a_second_each_second():
    assert slope(series(100, 50)) == pytest.approx(1)
    assert slope(series(100, 90)) > SATURATED_SLOPE


@pytest.mark.parametrize(
    ("done_per_second", "delay", "saturated"),
    [(100, 0.0, False), (100, 0.9, False), (90, 0.0, True), (100, 1.1, True)],
)
def test_what_falls_behind_or_starts_a_second_late_is_saturated(
    done_per_second: float, delay: float, saturated: bool
):
    late = [replace(start, began=start.began + delay) for start in series(100, done_per_second)]
    assert is_saturated(lateness(late)) is saturated


def test_all_at_one_instant_have_no_slope():
    assert slope([Start(index=at, planned=10, began=11 + at) for at in range(3)]) == 0


def test_lateness_is_that_of_the_first_start_of_each_job():
    found = account("s 0 10.0 40.0", "s 0 10.0 10.1", "s 1 11.0 11.3")
    assert [start.began for start in first_starts(found.starts)] == [10.1, 11.3]
    assert lateness(found.starts) == {
        "p50_ms": 100.0,
        "p99_ms": 300.0,
        "max_ms": 300.0,
        "slope": 0.2,
    }


def test_several_runs_give_medians_ranges_and_the_sum_of_faults():
    runs = [
        Result(values={"rate": rate}, correctness={"lost": lost}, notes=[])
        for rate, lost in ((3.0, 0), (1.0, 2), (None, 1))
    ]
    assert together(runs) == ({"rate": 2.0, "rate_range": [1.0, 3.0]}, {"lost": 3})
    assert together([]) == ({}, {})


def test_the_payload_is_100_bytes_and_decided_by_the_seed():
    one, other = Jobs(count=1, due=0, seed=1), Jobs(count=1, due=0, seed=2)
    assert len(one.payload.encode()) == 100
    assert one.payload == Jobs(count=9, due=5, seed=1).payload != other.payload


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "none"),
        (True, "yes"),
        (12345.6, "12,346"),
        (0.1234, "0.123"),
        ([1, 2000], "1 to 2,000"),
    ],
)
def test_values_are_shown_as_people_read_them(value: object, shown: str):
    assert cell(value) == shown


def row(program: str, measure: str, notes: list[str], **values: float) -> dict[str, object]:
    return {
        "program": program,
        "measure": measure,
        "parameters": {"rate": 100, "seed": 0},
        "values": values,
        "correctness": {"lost": 0},
        "notes": notes,
    }


def test_each_measure_is_a_table_with_a_cell_for_each_value():
    rows = [
        row("one", "lateness", [], p50_ms=1.5),
        row("two", "lateness", ["slow"], max_ms=2.0),
        row("one", "add", [], added_per_second=2000.0),
    ]
    lateness_table, add_table = tables(rows).split("\n\n**add**\n\n")
    assert lateness_table.splitlines() == [
        "**lateness**",
        "",
        "| program | rate | p50_ms | max_ms | lost | notes |",
        "| --- | --- | --- | --- | --- | --- |",
        "| one | 100 | 1.5 |  | 0 |  |",
        "| two | 100 |  | 2 | 0 | slow |",
    ]
    assert add_table.splitlines()[-1] == "| one | 2,000 | 0 |  |"
    assert line(rows[1]) == "two: lateness at 100/s: max_ms 2, lost 0; slow"


async def test_a_peer_that_cannot_be_had_is_a_row_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("PATH", str(tmp_path))
    rows = await measure_peers("mongodb://unused", ["celery"], ["burst"], cache=tmp_path)
    assert [(found["program"], found["measure"], found["values"]) for found in rows] == [
        ("celery", "versions", {})
    ]
    assert rows[0]["notes"] == [
        "unavailable: needs redis-server on PATH: apt-get install redis-server"
    ]


async def test_without_node_the_remedy_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Unavailable, match="apt-get install nodejs npm"):
        await node_environment(tmp_path, {"agenda": "6.2.6"})


def program(directory: Path, text: str) -> list[str]:
    path = directory / "program.py"
    path.write_text(text, encoding="utf-8")
    return [sys.executable, str(path)]


async def test_a_program_that_fails_says_its_last_words(tmp_path: Path):
    command = program(tmp_path, "raise SystemExit('no such store')")
    with pytest.raises(RuntimeError, match=r"program\.py failed: no such store"):
        await answer_of(command, {}, tmp_path / "log", seconds=30)
    with pytest.raises(RuntimeError, match=r"program\.py did not start: no such store"):
        await running(command, {}, tmp_path / "log")


async def test_a_program_that_takes_too_long_is_killed(tmp_path: Path):
    text = (
        "import os, pathlib, time; pathlib.Path('{}').write_text(str(os.getpid())); time.sleep(60)"
    )
    pid = tmp_path / "pid"
    with pytest.raises(TimeoutError):
        await answer_of(program(tmp_path, text.format(pid)), {}, tmp_path / "log", seconds=2)
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text(encoding="ascii")), 0)


async def test_a_running_program_is_found_and_killed(tmp_path: Path):
    text = "import time; print('ready', flush=True); time.sleep(60)"
    scheduler = await running(program(tmp_path, text), {}, tmp_path / "log")
    assert scheduler.alive()
    assert len(scheduler.pids()) == 1
    await scheduler.kill()
    assert not scheduler.alive()
    assert scheduler.pids() == []


def test_a_program_ends_with_its_caller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PYTHONPATH", str(PROGRAMS))
    text = "import records, time; records.end_with_caller(); print('ready', flush=True); time.sleep(60)"
    process = subprocess.Popen(
        program(tmp_path, text),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    with process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.stdin.close()
        assert process.wait(30) == -signal.SIGKILL


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "benchmarks.peers", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_command_tells_its_options():
    told = command("--help")
    assert told.returncode == 0
    assert {"--peers", "--measures", "--rates", "--json"} <= set(told.stdout.split())


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["--peers", "cron"], "'cron' is none of apscheduler3, apscheduler3-durable"),
        (["--measures", "burst,beauty"], "'beauty' is none of add, burst"),
        (["--rates", "100,fast"], "'100,fast' is not whole numbers above 0"),
        (["--rates", "0"], "'0' is not whole numbers above 0"),
        (["--count", "0"], "0 is not in the range x>=1"),
        (["--nonsense"], "No such option"),
    ],
)
def test_a_wrong_argument_is_told_on_one_line(arguments: list[str], error: str):
    told = command(*arguments)
    assert told.returncode == 2
    assert told.stdout == ""
    assert error in told.stderr
    assert len(told.stderr.splitlines()) == 1
