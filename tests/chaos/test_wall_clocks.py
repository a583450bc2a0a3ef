"""Wall clocks that are wrong: what a process sees of the time, and what it does not."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from later_core.testing.chaos import wall_clocks
from later_core.testing.chaos.true_clock import true_ns
from later_core.testing.chaos.wall_clocks import WallClock


def test_the_true_clock_is_that_of_the_kernel() -> None:
    before = time.time_ns()
    told = true_ns()
    # It may tell no more than microseconds.
    assert before - 1_000 < told <= time.time_ns()


async def test_every_way_to_ask_for_the_wall_clock_is_answered_wrongly(tmp_path: Path) -> None:
    await wall_clocks.try_out(wall_clocks.install(tmp_path), tmp_path / "trial")


async def test_a_clock_that_is_right_is_told_apart(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="too much instead of 17"):
        await wall_clocks.try_out(tmp_path / "nothing", tmp_path / "trial")


async def test_a_clock_that_cannot_be_made_wrong_is_told_of(tmp_path: Path) -> None:
    installed = wall_clocks.install(tmp_path)
    (installed / "sitecustomize.py").write_text("1 / 0")
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        await wall_clocks.try_out(installed, tmp_path / "trial")


def test_a_clock_is_set_at_once_or_not_at_all(tmp_path: Path) -> None:
    """Nobody reads half a number."""
    file = tmp_path / "clock"
    clock = WallClock(file, wrong_seconds=-12.5)
    held = file.open()
    clock.set(30)
    assert held.read() == "-12.500\n"
    assert file.read_text() == "+30.000\n"
    held.close()
    assert list(tmp_path.iterdir()) == [file]
