"""A seed is a history: the same one in every process, and the one command that plays it again."""

import os
import subprocess
import sys

import pytest
from click.testing import CliRunner

from later_core.testing.simulation import scenario_of, simulate
from later_core.testing.simulation.__main__ import main

SEEDS = range(20)


def test_the_same_seed_gives_the_same_history_twice():
    for seed in SEEDS:
        assert simulate(seed).report() == simulate(seed).report()


def test_the_same_seed_gives_the_same_history_in_another_process():
    """Where texts hash to other numbers, and so sets have another order."""
    script = (
        "from later_core.testing.simulation import simulate\n"
        f"for seed in range({SEEDS.start}, {SEEDS.stop}): print(simulate(seed).report())"
    )
    here = "".join(simulate(seed).report() + "\n" for seed in SEEDS)
    for hash_seed in ("1", "2"):
        there = subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},  # noqa: TID251 - another process
            capture_output=True,
            text=True,
            check=True,
        )
        assert there.stdout == here


def test_seeds_differ():
    assert len({simulate(seed).report() for seed in SEEDS}) == len(SEEDS)


def test_every_kind_of_step_comes_up():
    kinds = {type(step).__name__ for seed in range(200) for _, step in scenario_of(seed).steps}
    assert kinds == {
        "Abort",
        "Crash",
        "Create",
        "CreateSchedule",
        "ForgetHistory",
        "Freeze",
        "Leave",
        "Reconnect",
        "Reschedule",
        "Retry",
        "SetWallClock",
        "Start",
        "Thaw",
        "Turn",
        "Watch",
    }


def test_the_command_replays_a_seed():
    answer = CliRunner().invoke(main, ["--seed", "3"])
    assert answer.exit_code == 0
    assert answer.output == simulate(3).report() + "\n"


def test_the_command_plays_many_seeds():
    answer = CliRunner().invoke(main, ["--first", "5", "--seeds", "4"])
    assert answer.exit_code == 0
    assert "4 seeds from 5: 0 failed" in answer.output


def test_a_failing_seed_is_shown_with_its_history_and_its_replay(monkeypatch: pytest.MonkeyPatch):
    from later_core.local.lease import Lease

    monkeypatch.setattr(Lease, "is_held", property(lambda self: True))
    answer = CliRunner().invoke(main, ["--seeds", "20"])
    assert answer.exit_code == 1
    assert "VIOLATED: " in answer.output
    assert "wrote i0 r1 PENDING" in answer.output
    assert "replay: tox -e sim -- --seed " in answer.output
