"""Each principal is held to its own rate, and to nobody else's."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from later_core.errors import QuotaExceeded
from later_core.local.quotas import Quotas
from later_core.model.principal import Principal
from later_core.model.quota import Quota
from later_core.model.rate import RateLimit
from later_core.ports.clock import SystemClock
from later_core.testing.clock import FakeClock

FIVE = RateLimit(count=10, burst=5)


class Hand(SystemClock):
    """A clock that a test sets."""

    seconds = 0.0

    def monotonic(self) -> float:
        return self.seconds


@given(
    st.lists(st.tuples(st.integers(0, 500), st.integers(1, 12)), max_size=80),
    st.integers(1, 20),
    st.integers(1, 10),
)
def test_no_principal_gets_more_than_its_rate_and_its_burst(
    asked: list[tuple[int, int]], count: int, burst: int
) -> None:
    clock = Hand()
    quotas = Quotas(clock=clock, rates={"ci": RateLimit(count=count, burst=burst)})
    granted = last = 0
    for wait_ms, wanted in asked:
        clock.seconds += wait_ms / 1000
        try:
            quotas.take(Principal(name="ci"), wanted)
        except QuotaExceeded as error:
            # It is told the very moment: then it is let in.
            clock.seconds += error.retry_after + 2e-6
            quotas.take(Principal(name="ci"), wanted)
        granted, last = granted + wanted, wanted
        # The last batch may reach over the burst; it is paid for before the next.
        assert granted - last <= clock.seconds * count + burst


def test_others_do_not_pay_for_one() -> None:
    quotas = Quotas(clock=Hand(), rates={"*": FIVE, "free": None})
    quotas.take(Principal(name="ci"), 5)
    with pytest.raises(QuotaExceeded) as refused:
        quotas.take(Principal(name="ci"), 1)
    assert refused.value.metadata == {"principal": "ci", "limit": str(FIVE)}
    assert refused.value.retry_after == pytest.approx(0.1)
    quotas.take(Principal(name="other"), 5)
    for _ in range(100):
        quotas.take(Principal(name="free"), 1000)


def test_without_rates_nothing_is_bounded() -> None:
    quotas = Quotas()
    for _ in range(100):
        quotas.take(Principal(name="anyone"), 1000)


def test_a_batch_above_the_burst_is_let_in_and_paid_for() -> None:
    clock = Hand()
    quotas = Quotas(clock=clock, rates={"ci": FIVE})
    quotas.take(Principal(name="ci"), 100)
    with pytest.raises(QuotaExceeded) as refused:
        quotas.take(Principal(name="ci"), 1)
    assert refused.value.retry_after == pytest.approx(9.6)
    clock.seconds = 9.61
    quotas.take(Principal(name="ci"), 1)


async def test_whoever_is_patient_waits_for_its_turn() -> None:
    clock = FakeClock()
    quotas = Quotas(clock=clock, rates={"*": FIVE})
    quotas.take(Principal(name="ci"), 5)
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(quotas.take_in_turn(Principal(name="ci"), 5))
        await clock.advance(0.4)
        assert not waiting.done()
        await clock.advance(0.2)
        assert waiting.done()


def test_what_a_token_says_goes_before_the_settings() -> None:
    quotas = Quotas(clock=Hand(), rates={"*": FIVE, "free": None})
    wide = Principal(name="ci", quota=Quota(create_rate="none"))
    quotas.take(wide, 1000)
    narrow = Principal(name="free", quota=Quota(create_rate=RateLimit(count=1)))
    quotas.take(narrow, 1)
    with pytest.raises(QuotaExceeded, match="1/1s"):
        quotas.take(narrow, 1)
    quotas.take(Principal(name="ci", quota=Quota(max_pending=3)), 5)
    with pytest.raises(QuotaExceeded):
        quotas.take(Principal(name="ci"), 1)
