"""Lease, health and lateness: small memories with one duty each."""

from later_core.local.health import Health
from later_core.local.lateness import LatenessRecord
from later_core.local.lease import Lease
from later_core.testing.clock import FakeClock


async def test_trust_in_a_lease_ends_before_the_lease_counted_from_the_question():
    clock = FakeClock()
    lease = Lease(clock, seconds=10)
    assert not lease.is_held
    asked_at = clock.monotonic()
    await clock.advance(3)
    lease.renewed("me", asked_at)
    assert lease.is_held
    await clock.advance(4.9)
    assert lease.is_held
    await clock.advance(0.2)
    assert not lease.is_held
    assert asked_at + lease.seconds - clock.monotonic() > 1


def test_a_lost_lease_is_not_held():
    clock = FakeClock()
    lease = Lease(clock, seconds=10)
    lease.renewed("me", clock.monotonic())
    lease.lost()
    assert not lease.is_held


def test_it_serves_only_while_the_store_answers_and_the_loop_runs():
    health = Health()
    seen = []
    for tell, fact in [
        (health.store_answers, True),
        (health.loop_runs, True),
        (health.loop_runs, True),
        (health.store_answers, False),
        (health.store_answers, True),
    ]:
        health.changed.clear()
        tell(fact)
        seen.append((health.is_serving, health.changed.is_set()))
    assert seen == [(False, False), (True, True), (True, False), (False, True), (True, True)]


def test_lateness_is_told_by_nearest_rank():
    record = LatenessRecord()
    assert record.summary().count == 0
    for number in range(1, 102):
        record.add(number / 1000)
    summary = record.summary()
    assert summary.count == 101
    assert [round(s.total_seconds(), 3) for s in (summary.p50, summary.p99, summary.max)] == [
        0.051,
        0.1,
        0.101,
    ]
