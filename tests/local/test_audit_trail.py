"""What is to be noted in the audit log: bounded, and strangers counted instead of listed."""

from __future__ import annotations

import pytest

from later_core.local.audit_trail import DROPPED, AuditTrail
from later_core.local.database_clock import DatabaseClock
from later_core.testing.clock import FakeClock


@pytest.fixture
def trail() -> AuditTrail:
    clock = FakeClock()
    database_clock = DatabaseClock(clock)
    database_clock.observe(clock.now())
    return AuditTrail(database_clock=database_clock, capacity=3)


def note(trail, principal="ci", outcome="OK", peer="ipv4:10.0.0.1:99", **fields):
    told = {"method": "AbortInstance", "target": "a"} | fields
    trail.note(principal=principal, outcome=outcome, peer=peer, **told)


def stranger(trail, port=1, host="10.0.0.1", **fields):
    note(trail, "", "UNAUTHENTICATED", f"ipv4:{host}:{port}", target="", **fields)


def test_what_is_noted_waits_until_it_is_written(trail):
    assert not trail.filled.is_set()
    note(trail)
    note(trail, target="b")
    assert trail.filled.is_set()
    first = trail.waiting(1)
    assert [entry.target for entry in first] == ["a"]
    assert trail.waiting(9)[:1] == first
    trail.written(first)
    rest = trail.waiting(9)
    assert [entry.target for entry in rest] == ["b"]
    trail.written(rest)
    assert not trail.filled.is_set()


def test_beyond_its_capacity_entries_are_counted(trail):
    for _ in range(3):
        note(trail)
    note(trail, count=5)
    note(trail)
    first = trail.waiting(9)
    assert len(first) == 3
    trail.written(first[:1])
    assert [entry.outcome for entry in trail.waiting(9)] == ["OK", "OK", DROPPED]
    assert trail.waiting(9)[2].count == 6
    trail.written(trail.waiting(9))
    assert trail.waiting(9) == []


def test_a_flood_of_strangers_from_one_host_is_one_entry(trail):
    for port in range(1000):
        stranger(trail, port)
    stranger(trail, host="10.0.0.2")
    stranger(trail, method="GetStats")
    assert [entry.count for entry in trail.waiting(9)] == [1000, 1, 1]


def test_an_entry_that_may_be_on_its_way_changes_no_more(trail):
    stranger(trail)
    first = trail.waiting(9)
    stranger(trail)
    trail.written(first)
    assert [entry.count for entry in (*first, *trail.waiting(9))] == [1, 1]
