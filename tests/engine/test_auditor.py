"""The loop that writes the audit log, while the database comes and goes."""

from __future__ import annotations

import asyncio

import pytest

from later_core.engine.auditor import Auditor
from later_core.errors import StoreUnavailable
from later_core.local.audit_trail import AuditTrail
from later_core.local.database_clock import DatabaseClock
from later_core.model.audit import AuditFilter
from later_core.stores.memory import MemoryStore
from later_core.testing.clock import FakeClock


class ComesAndGoes(MemoryStore):
    """Loses answers: what was written is written, and the caller hears that it failed."""

    is_away = False

    async def append_audit(self, entries):
        await super().append_audit(entries)
        if self.is_away:
            raise StoreUnavailable("no answer")


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def store(clock):
    return ComesAndGoes(clock=clock)


@pytest.fixture
def trail(clock):
    database_clock = DatabaseClock(clock)
    database_clock.observe(clock.now())
    return AuditTrail(database_clock=database_clock)


def note(trail, target):
    trail.note(principal="ci", method="AbortInstance", target=target, outcome="OK", peer="x")


async def targets(store):
    page = await store.list_audit(AuditFilter(), after=None, limit=100)
    return [entry.target for entry in reversed(page.entries)]


async def test_what_is_noted_is_written_a_moment_later(clock, store, trail):
    auditor = Auditor(store=store, trail=trail, clock=clock)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(auditor.run())
        for target in "abc":
            note(trail, target)
            await clock.advance(1)
        assert await targets(store) == ["a", "b", "c"]
        running.cancel()


async def test_nothing_is_lost_or_written_twice_when_answers_are_lost(clock, store, trail):
    auditor = Auditor(store=store, trail=trail, clock=clock)
    store.is_away = True
    for target in "ab":
        note(trail, target)
        with pytest.raises(StoreUnavailable):
            await auditor.run()
    store.is_away = False
    async with auditor:
        note(trail, "c")
    assert await targets(store) == ["a", "b", "c"]
    assert trail.waiting(9) == []


async def test_a_node_that_leaves_while_the_database_is_away_leaves_all_the_same(
    clock, store, trail
):
    store.is_away = True
    async with Auditor(store=store, trail=trail, clock=clock):
        note(trail, "a")
