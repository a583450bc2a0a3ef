"""Wall clocks that are wrong: what a process sees of the time, and what it does not."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from later_core.testing.chaos.true_clock import true_ns
from later_core.testing.chaos.wall_clocks import WallClock, Way, find_way, trouble_with, ways


def test_the_true_clock_is_that_of_the_kernel() -> None:
    before = time.time_ns()
    told = true_ns()
    # It may tell no more than microseconds.
    assert before - 1_000 < told <= time.time_ns()


async def test_there_is_a_way_with_nothing_but_python(tmp_path: Path) -> None:
    way = ways(tmp_path)[-1]
    assert way.name == "in Python"
    assert await trouble_with(way, tmp_path / "trial") == ""


async def test_the_way_that_is_found_works(tmp_path: Path) -> None:
    way = await find_way(tmp_path / "clocks")
    assert await trouble_with(way, tmp_path / "trial") == ""


def without_python_path(way: Way) -> Way:
    return replace(way, python_path="")


def without_a_file(way: Way) -> Way:
    return replace(way, variable="ANOTHER")


@pytest.mark.parametrize("spoil", [without_python_path, without_a_file])
async def test_a_way_that_does_not_work_is_told_apart(
    spoil: Callable[[Way], Way], tmp_path: Path
) -> None:
    assert await trouble_with(spoil(ways(tmp_path)[-1]), tmp_path / "trial")


async def test_a_library_that_cannot_be_loaded_is_told_apart(tmp_path: Path) -> None:
    library = tmp_path / "library.so"
    library.touch()
    environment: Mapping[str, str] = {"LD_PRELOAD": str(library)}
    way = replace(ways(tmp_path)[-1], environment=environment)
    assert "library.so" in await trouble_with(way, tmp_path / "trial")


def test_a_clock_is_set_in_the_words_of_libfaketime(tmp_path: Path) -> None:
    file = tmp_path / "clock"
    clock = WallClock(Way(name="any", variable="FILE"), file, wrong_seconds=-12.5)
    assert clock.environment == {"FILE": str(file)}
    assert file.read_text() == "-12.500\n"
    clock.set(30)
    assert file.read_text() == "+30.000\n"
    assert list(tmp_path.iterdir()) == [file]
