"""How far a node is behind: by the last event, and by the silence since."""

from __future__ import annotations

from datetime import timedelta

import pytest

from later_core.local.database_clock import DatabaseClock
from later_core.local.feed_lag import FeedLag
from later_core.testing.clock import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def database_clock(clock: FakeClock) -> DatabaseClock:
    database_clock = DatabaseClock(clock)
    database_clock.observe(clock.now())
    return database_clock


@pytest.fixture
def lag(clock: FakeClock, database_clock: DatabaseClock) -> FeedLag:
    return FeedLag(clock=clock, database_clock=database_clock)


def test_there_is_none_while_nobody_follows(lag: FeedLag):
    assert lag.seconds() is None
    lag.took(None)
    lag.paused()
    assert lag.seconds() is None


def test_it_is_the_age_of_the_last_event(lag: FeedLag, database_clock: DatabaseClock):
    lag.took(database_clock.now() - timedelta(seconds=3))
    assert lag.seconds() == pytest.approx(3.0)


def test_a_bookmark_says_that_nothing_is_missing(lag: FeedLag, database_clock: DatabaseClock):
    lag.took(database_clock.now() - timedelta(seconds=3))
    lag.took(None)
    assert lag.seconds() == 0.0


async def test_a_silence_grows(lag: FeedLag, clock: FakeClock):
    lag.took(None)
    await clock.advance(2.0)
    assert lag.seconds() == 0.0
    await clock.advance(5.0)
    assert lag.seconds() == pytest.approx(5.0)
