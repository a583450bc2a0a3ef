"""A principal has no more PENDING than its limit, counted from what is stored."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from later_core.errors import PendingLimitReached
from later_core.local.pending import PendingLimits
from later_core.model.principal import Principal
from later_core.model.quota import Quota
from later_core.ports.clock import SystemClock

CI = Principal(name="ci")


class Hand(SystemClock):
    """A clock that a test sets."""

    seconds = 0.0

    def monotonic(self) -> float:
        return self.seconds


class Rows:
    """What is stored, and how often it was counted."""

    def __init__(self, pending: int = 0) -> None:
        self.pending = pending
        self.counts = 0

    async def count(self, principal: str, at_most: int) -> int:
        self.counts += 1
        await asyncio.sleep(0)  # noqa: TID251 - lets the others on, without waiting
        return min(self.pending, at_most)


def limits(rows: Rows, clock: Hand, nodes: int = 1, **of: int | None) -> PendingLimits:
    return PendingLimits(count=rows.count, clock=clock, limits=of or {"*": 10}, nodes=lambda: nodes)


async def create(pending: PendingLimits, rows: Rows, who: Principal = CI, count: int = 1) -> None:
    held = await pending.hold(who, count)
    assert held is not None

    async def store() -> None:
        await asyncio.sleep(0)  # noqa: TID251 - lets the others on, without waiting
        rows.pending += count

    await held.until_done(store())


async def test_up_to_the_limit_and_not_one_more() -> None:
    rows, clock = Rows(pending=3), Hand()
    pending = limits(rows, clock)
    for _ in range(7):
        await create(pending, rows)
    with pytest.raises(PendingLimitReached) as refused:
        await create(pending, rows)
    assert refused.value.metadata == {"principal": "ci", "limit": "10"}
    assert refused.value.retry_after == 1.0
    assert rows.pending == 10


async def test_many_at_once_get_no_more_than_the_limit() -> None:
    rows = Rows()
    pending = limits(rows, Hand())
    async with asyncio.TaskGroup() as group:
        for _ in range(50):
            group.create_task(_or_not(pending, rows))
    assert rows.pending == 10


async def _or_not(pending: PendingLimits, rows: Rows) -> None:
    with suppress(PendingLimitReached):
        await create(pending, rows)


async def test_what_has_started_makes_room_soon() -> None:
    rows, clock = Rows(pending=10), Hand()
    pending = limits(rows, clock)
    with pytest.raises(PendingLimitReached):
        await create(pending, rows)
    rows.pending = 9
    clock.seconds += 0.1
    await create(pending, rows)


async def test_a_flood_of_refusals_is_no_flood_of_counts() -> None:
    rows = Rows(pending=10)
    pending = limits(rows, Hand())
    for _ in range(100):
        with pytest.raises(PendingLimitReached):
            await create(pending, rows)
    assert rows.counts == 1


async def test_far_from_the_limit_it_is_counted_once_a_second() -> None:
    rows, clock = Rows(), Hand()
    pending = limits(rows, clock, ci=1_000_000)
    for _ in range(100):
        await create(pending, rows)
        clock.seconds += 0.01
    assert rows.counts <= 2


async def test_of_a_batch_the_first_have_places() -> None:
    rows = Rows(pending=6)
    pending = limits(rows, Hand(), nodes=3)
    held = await pending.hold_some(CI, 100, 10)
    assert held.count == 4
    assert held.drop()
    with pytest.raises(PendingLimitReached):
        await pending.hold(CI, 100)


async def test_a_token_goes_before_the_settings() -> None:
    pending = limits(Rows(), Hand(), ci=5)
    assert pending.limit_of(CI) == 5
    assert pending.limit_of(Principal(name="other")) is None
    assert pending.limit_of(Principal(name="ci", quota=Quota(max_pending=7))) == 7
    assert pending.limit_of(Principal(name="ci", quota=Quota(max_pending="none"))) is None
    assert pending.limit_of(Principal(name="ci", quota=Quota(create_rate="none"))) == 5


async def test_without_a_limit_nothing_is_counted() -> None:
    rows = Rows()
    assert await PendingLimits(count=rows.count).hold(CI, 1000) is None
    assert rows.counts == 0


async def test_places_that_were_not_used_are_free_again() -> None:
    rows, clock = Rows(), Hand()
    pending = limits(rows, clock)
    held = await pending.hold(CI, 10)
    assert held is not None
    assert held.drop()
    clock.seconds += 1
    await create(pending, rows, count=10)


async def test_what_asked_for_too_much_leaves_the_room_to_what_fits_soon() -> None:
    rows, clock = Rows(), Hand()
    pending = limits(rows, clock)
    for _ in range(3):
        with pytest.raises(PendingLimitReached):
            await pending.hold(CI, 11)
    # One count found the room, another that it was not enough; a flood of such makes no more.
    assert rows.counts == 2
    clock.seconds += 0.1
    await create(pending, rows, count=10)
    assert rows.pending == 10


@given(st.integers(1, 5), st.integers(1, 40), st.randoms(use_true_random=False))
def test_several_nodes_never_let_in_twice_the_limit(
    nodes: int, limit: int, chance: random.Random
) -> None:
    async def race() -> None:
        rows, clock = Rows(), Hand()
        each = [limits(rows, clock, nodes, ci=limit) for _ in range(nodes)]
        for _ in range(200):
            clock.seconds += chance.choice((0.0, 0.05, 0.3))
            with suppress(PendingLimitReached):
                await create(chance.choice(each), rows)
            assert rows.pending < 2 * limit or rows.pending == limit
            if chance.random() < 0.05:
                rows.pending = max(0, rows.pending - chance.randint(1, limit))

    asyncio.run(race())
