"""Which calls name the ids that they concern, and so reach only their shards; docs/scale.md says the same.

Told by the server's own profile of what it was asked, on the one member that there is here.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from pymongo.database import Database

from later_core.model.query import Filter
from later_core.stores.mongo.store import MongoStore
from later_core.testing.builders import a_node, an_instance, failed, succeeded
from later_core.testing.store_contract.steps import HOUR, SECOND, moment_of

Raw = Database[dict[str, Any]]
Call = Callable[[], Awaitable[Any]]

#: What the servers of shards are asked: of these ids, or each of them all that it has.
IDS, ALL = "the shards of these ids", "every shard"
#: By method of the store, in the words of the page.
REACHES = {
    "insert": IDS,
    "get": IDS,
    "abort": IDS,
    "reschedule": IDS,
    "retry": IDS,
    "claim": IDS,
    "started": IDS,
    "finish": IDS,
    "recover": ALL,
    "reclaim": ALL,
    "due": ALL,
    "list": ALL,
    "snapshot": ALL,
    "counts": ALL,
    "active_instances": ALL,
    "last_failures": ALL,
    "schedule_counts": ALL,
}
#: Only reads ask every shard.
READS = {"query", "command"}

PAGE = Path(__file__).parents[3] / "docs" / "scale.md"


@pytest.fixture
def profiled(raw: Raw, store: MongoStore) -> Iterator[Raw]:
    """The database, which keeps all that it is asked of the instances."""
    del store  # makes the collection first
    raw.command("profile", 2)
    yield raw
    raw.command("profile", 0)


async def calls_of(store: MongoStore, now: datetime) -> Mapping[str, Call]:
    """One call of each method, which finds something to do."""
    ids = [f"i{n}" for n in range(8)]
    await store.beat(a_node("node-a"), lease=HOUR)
    await store.insert([an_instance(id, execution_time=now) for id in ids])
    running = {one.id: one for one in await store.claim(ids[:5], node="node-a", until=now)}
    await store.claim(ids[5:6], node="nobody", until=now)
    await store.finish([failed(running["i0"], at=now)])

    async def snapshot() -> None:
        async with store.snapshot(Filter()) as taken:
            async for _ in taken.pages():
                pass

    return {
        "insert": lambda: store.insert(
            # One of them is there already, so that it is looked at too.
            [an_instance(id, execution_time=now) for id in ("i0", "new")]
        ),
        "get": lambda: store.get("i0"),
        "abort": lambda: store.abort("i1"),
        "reschedule": lambda: store.reschedule("i6", now + HOUR, revision=None),
        "retry": lambda: store.retry("i0", now),
        "claim": lambda: store.claim(["i7"], node="node-a", until=now),
        "started": lambda: store.started({("i2", 1): now}, node="node-a"),
        # One is fenced off, so that it is looked at too.
        "finish": lambda: store.finish(
            [succeeded(running["i2"], at=now), succeeded(running["i1"], at=now)]
        ),
        "recover": lambda: store.recover(limit=100),
        "reclaim": lambda: store.reclaim("node-a", [("i3", 1)]),
        "due": lambda: store.due(
            tasks=["echo"], buckets=[1], since=None, until=now, after=None, limit=10
        ),
        "list": lambda: store.list(Filter(), after=None, limit=10),
        "snapshot": snapshot,
        "counts": lambda: store.counts(["echo"]),
        "active_instances": lambda: store.active_instances(["s"]),
        "last_failures": lambda: store.last_failures(["s"]),
        "schedule_counts": lambda: store.schedule_counts(["s"]),
    }


def names_ids(entry: Mapping[str, Any]) -> bool:
    """Whether the question names the ids that it concerns: a value, or a list of values."""
    command = entry["command"]
    if entry["op"] == "insert":
        return True
    query = next((command[key] for key in ("q", "query", "filter") if key in command), {})
    asked_ids = [part.get("_id") for part in (query, *query.get("$and", []))]
    return any(
        isinstance(ids, str) or (isinstance(ids, dict) and "$in" in ids) for ids in asked_ids
    )


async def test_calls_reach_the_shards_that_the_page_says(store: MongoStore, profiled: Raw) -> None:
    now = await moment_of(store)
    found: dict[str, str] = {}
    for name, call in (await calls_of(store, now + SECOND)).items():
        before = profiled["system.profile"].count_documents({})
        await call()
        asked = [
            entry
            for entry in profiled["system.profile"].find().skip(before)
            if entry["ns"].endswith(".instances")
            and entry["op"] in {"insert", "query", "update", "command"}
            and not {"killCursors", "getMore", "explain"} & entry["command"].keys()
        ]
        assert asked, f"{name} asked nothing"
        found[name] = IDS if all(map(names_ids, asked)) else ALL
        for entry in asked:
            assert names_ids(entry) or entry["op"] in READS, (
                f"{name} writes to every shard: {entry}"
            )
            assert names_ids(entry) or "findAndModify" not in entry["command"], name
    assert found == REACHES


def test_the_page_says_the_same() -> None:
    page = PAGE.read_text(encoding="utf-8")
    said: dict[str, str] = {}
    for names, reach in re.findall(
        r"^\| ((?:`\w+`(?:, )?)+) \|[^|]*\| ([^|]+) \|", page, re.MULTILINE
    ):
        said.update(dict.fromkeys(re.findall(r"`(\w+)`", names), reach))
    assert said == REACHES
