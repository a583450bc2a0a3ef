"""Checks of ``raised``: what has a priority, the highest first."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from later_core.model.bucket import BUCKETS, bucket_of
from later_core.model.query import DueEntry
from later_core.ports.store import Store
from later_core.testing.builders import an_instance
from later_core.testing.store_contract.steps import (
    HOUR,
    MILLISECOND,
    all_due,
    claim,
    insert,
    moment_of,
)


async def _all_raised(
    store: Store, *, until: datetime, limit: int = 1000, **conditions: object
) -> list[DueEntry]:
    asked = {"tasks": ("echo",), "since": None} | conditions
    entries: list[DueEntry] = []
    while True:
        after = entries[-1] if entries else None
        answer = await store.raised(until=until, after=after, limit=limit, **asked)  # type: ignore[arg-type]  # as each test asks
        assert len(answer) <= limit
        if not answer:
            return entries
        entries += answer


class RaisedContract:
    """A pull finds what has a priority without walking over what has none."""

    async def test_an_empty_store_has_nothing_raised(self, store: Store) -> None:
        assert await _all_raised(store, until=await moment_of(store) + HOUR) == []

    @pytest.mark.parametrize("limit", [1, 2, 7, 1000])
    async def test_the_highest_comes_first_then_the_earliest(
        self, store: Store, limit: int
    ) -> None:
        now = await moment_of(store)
        priorities = [0, 1, 100, 50, 1, 0, 100, 1, 50, 2]
        instances = [
            # Several of one priority are due at one moment.
            an_instance(f"id-{n}", execution_time=now - n // 4 * MILLISECOND, priority=priority)
            for n, priority in enumerate(priorities)
        ]
        await insert(store, *instances)
        expected = sorted(
            (-instance.priority, instance.execution_time, instance.id)
            for instance in instances
            if instance.priority
        )
        entries = await _all_raised(store, until=now, limit=limit)
        assert [(-entry.priority, entry.id) for entry in entries] == [
            (rank, id) for rank, _, id in expected
        ]
        # Each of them is among all that is due, too.
        due = {entry.id: entry.due_ms for entry in await all_due(store, until=now)}
        assert due.keys() == {instance.id for instance in instances}
        assert all(due[entry.id] == entry.due_ms for entry in entries)

    async def test_only_what_is_pending_within_the_times_is_raised(self, store: Store) -> None:
        now = await moment_of(store)
        ages = {"old": HOUR, "edge": timedelta(minutes=1), "now": timedelta(0), "soon": -HOUR}
        await insert(
            store,
            *(an_instance(id, execution_time=now - age, priority=5) for id, age in ages.items()),
            an_instance("running", execution_time=now, priority=5),
            an_instance("aborted", execution_time=now, priority=5),
            an_instance("other", execution_time=now, priority=5, task="other"),
        )
        await claim(store, "running")
        await store.abort("aborted")
        assert [e.id for e in await _all_raised(store, until=now)] == ["old", "edge", "now"]
        since = now - timedelta(minutes=1)
        assert [e.id for e in await _all_raised(store, until=now, since=since)] == ["edge", "now"]
        both = await _all_raised(store, until=now, since=since, tasks=("echo", "other"))
        assert [e.id for e in both] == ["edge", "now", "other"]
        await store.reschedule("soon", now, revision=None)
        await store.retry("aborted", now)
        found = await _all_raised(store, until=now, since=now)
        assert sorted(e.id for e in found) == ["aborted", "now", "soon"]

    async def test_buckets_share_what_is_raised(self, store: Store) -> None:
        now = await moment_of(store)
        ids = [f"id-{n}" for n in range(30)]
        await insert(store, *(an_instance(id, execution_time=now, priority=3) for id in ids))
        half = range(BUCKETS // 2)
        entries = await _all_raised(store, until=now, buckets=half, limit=4)
        assert {entry.id for entry in entries} == {id for id in ids if bucket_of(id) in half}
