"""What a node takes for a sign that it has too much to do."""

import pytest

from later_core.app.load import overload_of
from later_core.errors import ServerOverloaded
from later_core.local.database_clock import DatabaseClock
from later_core.local.health import Health
from later_core.local.runs import Runs
from later_core.local.window import Window
from later_core.model.instant import to_millis
from later_core.testing.clock import FakeClock


async def is_refused(*, waiting: int, is_serving: bool = True, room: int = 10) -> bool:
    """Whether a create is, where so many have been due for seconds and none was claimed."""
    clock, window, health = FakeClock(), Window(), Health()
    database_clock, runs = DatabaseClock(clock), Runs(capacity=10)
    database_clock.observe(clock.now())
    health.store_answers(is_serving)
    health.loop_runs(True)
    runs.reserve(10 - room)
    now_ms = to_millis(clock.now())
    for number in range(waiting):
        window.offer(now_ms, f"i{number}", now_ms=now_ms)
    overload = overload_of(window, runs, health, None, clock, database_clock)
    try:
        for _ in range(4):
            await clock.advance(1)
            with overload.take(1, 0):
                pass
    except ServerOverloaded:
        return True
    return False


async def test_creates_are_refused_while_a_whole_batch_waits_for_its_claim():
    assert await is_refused(waiting=1_000)


@pytest.mark.parametrize(
    "calm",
    [
        pytest.param({"waiting": 999}, id="a few that wait for a slow database"),
        pytest.param({"waiting": 1_000, "is_serving": False}, id="a database that is away"),
        pytest.param({"waiting": 1_000, "room": 0}, id="runs that last"),
    ],
)
async def test_what_else_makes_starts_late_is_no_overload(calm):
    assert not await is_refused(**calm)
