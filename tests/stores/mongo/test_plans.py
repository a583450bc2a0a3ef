"""The reads that must stay cheap are answered by the index, in its order."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from pymongo.database import Database

from later_core.model.query import DueEntry, Filter
from later_core.model.state import State
from later_core.stores.mongo import queries
from later_core.stores.mongo.due import INDEXED
from later_core.stores.mongo.store import MongoStore
from later_core.testing.builders import an_instance
from later_core.testing.store_contract.steps import HOUR, all_due, insert, moment_of

Raw = Database[dict[str, Any]]

#: As many are due at one moment, so that a place in the middle of them must be found by the index.
AT_ONCE = 500


@pytest.fixture
async def start(store: MongoStore) -> datetime:
    """Instances due at two moments a second apart, from this one; half of the first are RUNNING."""
    now = await moment_of(store)
    for second in range(2):
        time = now + timedelta(seconds=second)
        await insert(
            store,
            *(an_instance(f"{second}-{n:03d}", execution_time=time) for n in range(AT_ONCE)),
        )
    ids = [f"0-{n:03d}" for n in range(0, AT_ONCE, 2)]
    assert len(await store.claim(ids, node="node-a", until=now)) == AT_ONCE // 2
    return now


def explain(raw: Raw, query: dict[str, Any], **options: Any) -> dict[str, Any]:
    command = {
        "find": "instances",
        "filter": query,
        "sort": queries.IN_ORDER,
        "hint": queries.DUE_INDEX,
        "limit": 10,
        **options,
    }
    return raw.command("explain", command, verbosity="executionStats")


def stages(plan: dict[str, Any]) -> Iterator[str]:
    yield plan["stage"]
    children = [
        *plan.get("inputStages", []),
        *([plan["inputStage"]] if "inputStage" in plan else []),
    ]
    for child in children:
        yield from stages(child)


@pytest.mark.parametrize("buckets", [None, range(0, 256, 2)])
@pytest.mark.parametrize("place", [None, "0-251"])
async def test_a_pull_touches_no_record_and_sorts_nothing(
    raw: Raw, start: datetime, place: str | None, buckets: range | None
) -> None:
    after = None if place is None else (start, place)
    query = queries.due(
        ["echo", "other"], buckets=buckets, since=None, until=start + HOUR, after=after
    )
    explained = explain(raw, query, projection=INDEXED)
    stats = explained["executionStats"]
    assert stats["nReturned"] == 10
    assert stats["totalDocsExamined"] == 0
    # Half of the entries are another node's: they are passed over in the index.
    assert stats["totalKeysExamined"] < (20 if buckets is None else 60)
    used = set(stages(explained["queryPlanner"]["winningPlan"]))
    assert not used & {"SORT", "FETCH", "COLLSCAN"}


@pytest.mark.parametrize("place", [None, "0-251"])
@pytest.mark.parametrize("states", [frozenset[State](), frozenset({State.PENDING, State.RUNNING})])
async def test_a_page_reads_what_it_shows_and_sorts_nothing(
    raw: Raw, start: datetime, place: str | None, states: frozenset[State]
) -> None:
    after = None if place is None else (start, place)
    filter = Filter(states=states, tasks=frozenset({"echo"}), end_time=start + HOUR)
    explained = explain(raw, queries.matching(filter, after=after))
    stats = explained["executionStats"]
    assert stats["nReturned"] == 10
    assert stats["totalDocsExamined"] == 10
    assert stats["totalKeysExamined"] < 30
    assert not set(stages(explained["queryPlanner"]["winningPlan"])) & {"SORT", "COLLSCAN"}


async def test_a_pull_walks_every_entry_of_one_moment(store: MongoStore, start: datetime) -> None:
    entries = await all_due(store, until=start, limit=7)
    assert [entry.id for entry in entries] == [f"0-{n:03d}" for n in range(1, AT_ONCE, 2)]
    assert len(set(entries)) == AT_ONCE // 2
    assert isinstance(entries[0], DueEntry)
