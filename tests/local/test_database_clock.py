"""The database's time is never overestimated, whatever the delays and the wall clock."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from later_core.local.database_clock import DatabaseClock
from later_core.model.instant import EPOCH, from_millis, to_millis
from later_core.testing.clock import FakeClock

BASE_MS = 1_900_000_000_000


class _Machine:
    """A machine whose monotonic clock began long before, beside a database with a clock of its own."""

    def __init__(self) -> None:
        self.seconds = 5_000.0

    def monotonic(self) -> float:
        return self.seconds

    @property
    def database_ms(self) -> float:
        return BASE_MS + self.seconds * 1000.0


@given(
    st.lists(
        st.tuples(
            st.floats(min_value=0, max_value=20),  # pause before the question
            st.floats(min_value=0, max_value=0.5),  # the answer's way back
        ),
        min_size=1,
        max_size=100,
    ),
    st.floats(min_value=0, max_value=100),
)
def test_it_never_runs_ahead_of_the_database(exchanges, afterwards):
    machine = _Machine()
    clock = DatabaseClock(machine)
    for pause, way_back in exchanges:
        machine.seconds += pause
        reported = from_millis(int(machine.database_ms))
        machine.seconds += way_back
        clock.observe(reported)
        assert clock.now_ms() <= machine.database_ms + 1e-3
    machine.seconds += afterwards
    assert clock.now_ms() <= machine.database_ms + 1e-3


def test_a_shared_clock_is_read_here_and_needs_no_answer():
    machine = FakeClock(datetime(2030, 1, 1, tzinfo=UTC))
    clock = DatabaseClock(machine, is_shared=True)
    assert clock.is_set
    assert clock.now() == machine.now()
    clock.observe(machine.now() + timedelta(hours=1))
    assert clock.now_ms() == to_millis(machine.now())


def test_quick_answers_bring_it_close():
    machine = _Machine()
    clock = DatabaseClock(machine)
    for _ in range(20):
        reported = from_millis(int(machine.database_ms))
        machine.seconds += 0.0003
        clock.observe(reported)
    assert machine.database_ms - clock.now_ms() < 1.0


def test_a_database_set_back_is_followed():
    machine = _Machine()
    clock = DatabaseClock(machine)
    clock.observe(from_millis(int(machine.database_ms) + 3_600_000))
    machine.seconds += 31
    clock.observe(from_millis(int(machine.database_ms)))
    assert clock.now_ms() <= machine.database_ms


def test_unread_it_refuses_to_guess():
    with pytest.raises(RuntimeError, match="not been read"):
        DatabaseClock(_Machine()).now_ms()


def test_its_instant_and_its_milliseconds_agree():
    clock = DatabaseClock(_Machine())
    clock.observe(EPOCH.replace(year=2030))
    assert abs(to_millis(clock.now()) - clock.now_ms()) <= 1
