"""What each step costs MongoDB, counted and not timed: round trips, and what a command touches.

The commands are those that the store really sends, taken from the driver, and explained by the
server.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from pymongo.database import Database
from pymongo.monitoring import (
    CommandFailedEvent,
    CommandListener,
    CommandStartedEvent,
    CommandSucceededEvent,
)

from later_core.model.instance import Instance
from later_core.stores.mongo import connection
from later_core.stores.mongo.store import MongoStore
from later_core.testing.builders import an_instance, succeeded
from later_core.testing.store_contract.steps import moment_of

Raw = Database[dict[str, Any]]
Command = dict[str, Any]

#: A full batch, as the dispatcher claims it and the groups write it.
BATCH = 1_000
MOST_ROUND_TRIPS = {"create": 2, "claim": 3, "finish": 3}

#: What the driver adds to a command, and explain does not take.
OF_THE_DRIVER = {"$db", "lsid", "txnNumber", "$clusterTime", "$readPreference", "writeConcern"}
NOT_EXPLAINED = {"readConcern", "maxTimeMS"}


class Commands(CommandListener):
    def __init__(self) -> None:
        self._sent: list[Command] = []

    def started(self, event: CommandStartedEvent) -> None:
        self._sent.append(dict(event.command))

    def succeeded(self, event: CommandSucceededEvent) -> None: ...
    def failed(self, event: CommandFailedEvent) -> None: ...

    def take(self) -> list[Command]:
        sent, self._sent = self._sent, []
        return sent


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> Commands:
    """Hears of every command of a store that is opened after this."""
    commands = Commands()
    client = connection.AsyncIOMotorClient

    def heard(uri: str, *, event_listeners: Sequence[CommandListener], **options: Any) -> Any:
        return client(uri, event_listeners=[*event_listeners, commands], **options)

    monkeypatch.setattr(connection, "AsyncIOMotorClient", heard)
    return commands


@pytest.fixture
async def store(
    make_store: Callable[..., MongoStore], commands: Commands
) -> AsyncIterator[MongoStore]:
    async with make_store() as store:
        yield store


@pytest.fixture
async def now(store: MongoStore) -> datetime:
    return await moment_of(store)


def some(now: datetime, *, count: int = BATCH, prefix: str = "i") -> list[Instance]:
    return [
        an_instance(f"{prefix}-{n:04d}", execution_time=now, parameters=b"x" * 100)
        for n in range(count)
    ]


async def sent_by_each_step(
    store: MongoStore, commands: Commands, now: datetime, *, count: int = BATCH
) -> dict[str, list[Command]]:
    instances = some(now, count=count)
    sent = {}
    commands.take()
    assert len(await store.insert(instances)) == count
    sent["create"] = commands.take()
    claimed = await store.claim([one.id for one in instances], node="node-a", until=now)
    sent["claim"] = commands.take()
    assert len(claimed) == count
    assert all(await store.finish([succeeded(one, at=now) for one in claimed]))
    sent["finish"] = commands.take()
    return sent


async def test_a_full_batch_takes_few_round_trips(
    store: MongoStore, commands: Commands, now: datetime
) -> None:
    sent = await sent_by_each_step(store, commands, now)
    for step, most in MOST_ROUND_TRIPS.items():
        assert 0 < len(sent[step]) <= most, f"{step}: {[next(iter(one)) for one in sent[step]]}"


async def test_claims_and_ends_examine_no_record_but_their_own(
    store: MongoStore, commands: Commands, raw: Raw, now: datetime
) -> None:
    # Many others are due too, each at a moment of its own: none of them may be looked at.
    await store.insert(
        [
            an_instance(f"other-{n}", execution_time=now - timedelta(milliseconds=n))
            for n in range(BATCH)
        ]
    )
    count = BATCH // 10
    sent = await sent_by_each_step(store, commands, now, count=count)
    for step in ("claim", "finish"):
        commands_of_step = len(sent[step])
        stats = list(explained(raw, sent[step]))
        records = sum(one["totalDocsExamined"] for one in stats)
        keys = sum(one["totalKeysExamined"] for one in stats)
        # Each command of a step looks at each of the batch once at most; beside the key of each,
        # the one behind it may be looked at, to see that it is another's.
        assert 0 < records <= count * commands_of_step, step
        assert 0 < keys <= (2 * count + 1) * commands_of_step, step


async def test_a_pull_of_what_has_a_priority_reads_its_index_alone(
    store: MongoStore, commands: Commands, raw: Raw, now: datetime
) -> None:
    await store.insert(some(now - timedelta(seconds=1), prefix="plain"))
    await store.insert(
        [
            an_instance(f"raised-{n:03}", execution_time=now, priority=1 + n % 3)
            for n in range(BATCH // 10)
        ]
    )
    assert keys_of(raw, "raised") == BATCH // 10
    commands.take()
    page = {"tasks": ["echo"], "since": None, "until": now, "limit": 20}
    first = await store.raised(after=None, **page)
    second = await store.raised(after=first[-1], **page)
    third = await store.raised(after=second[-1], **page)
    assert [entry.priority for entry in [*first, *second, *third]] == [3] * 33 + [2] * 20
    for command in commands.take():
        [plan] = [raw.command("explain", bare(command), verbosity="executionStats")]
        stats = plan["executionStats"]
        assert stats["totalDocsExamined"] == 0
        assert stats["totalKeysExamined"] <= stats["nReturned"] + 5
        assert not set(stages(plan["queryPlanner"]["winningPlan"])) & {"FETCH", "SORT", "COLLSCAN"}


async def test_what_has_no_priority_pays_nothing_for_those_that_have(
    store: MongoStore, commands: Commands, raw: Raw, now: datetime
) -> None:
    await sent_by_each_step(store, commands, now, count=10)
    await store.insert(some(now, count=10, prefix="pending"))
    assert keys_of(raw, "raised") == 0
    assert raw["instances"].count_documents({"priority": {"$exists": True}}) == 0
    await store.insert([an_instance("raised", execution_time=now, priority=1)])
    assert keys_of(raw, "raised") == 1
    await store.claim(["raised"], node="node-a", until=now)
    assert keys_of(raw, "raised") == 0


async def test_an_only_attempt_that_succeeds_adds_nothing_to_its_record(
    store: MongoStore, commands: Commands, raw: Raw, now: datetime
) -> None:
    sent = await sent_by_each_step(store, commands, now, count=2)
    assert "attempts" not in str(sent["finish"])
    for record in raw["instances"].find():
        assert "attempts" not in record
        shown = await store.get(record["_id"])
        assert shown is not None
        assert [attempt.number for attempt in shown.attempts] == [1]


async def test_a_pull_reads_the_index_alone_and_no_entry_too_many(
    store: MongoStore, commands: Commands, raw: Raw, now: datetime
) -> None:
    await store.insert(some(now + timedelta(seconds=1), prefix="later"))
    await store.insert(some(now))
    commands.take()
    page = {
        "tasks": ["echo"],
        "since": None,
        "until": now + timedelta(milliseconds=1),
        "limit": BATCH // 2,
    }
    first = await store.due(after=None, **page)
    second = await store.due(after=first[-1], **page)
    assert len({entry.id for entry in [*first, *second]}) == BATCH
    pulls = commands.take()
    assert len(pulls) == 2
    for command in pulls:
        [plan] = [raw.command("explain", bare(command), verbosity="executionStats")]
        stats = plan["executionStats"]
        assert stats["nReturned"] == BATCH // 2
        assert stats["totalDocsExamined"] == 0
        # One key is looked at to see that the page is over, and one to leap behind the last page.
        assert stats["totalKeysExamined"] <= BATCH // 2 + 3
        assert not set(stages(plan["queryPlanner"]["winningPlan"])) & {"FETCH", "SORT", "COLLSCAN"}


def keys_of(raw: Raw, index: str) -> int:
    keys: int = raw.command("validate", "instances")["keysPerIndex"][index]
    return keys


def explained(raw: Raw, sent: list[Command]) -> Iterator[dict[str, Any]]:
    """The execution statistics of each statement of the commands, as the server would now run it."""
    for command in sent:
        for one in statements(command):
            yield raw.command("explain", one, verbosity="executionStats")["executionStats"]


def statements(command: Command) -> Iterator[Command]:
    """The command, as one for each of its updates: explain takes no more."""
    if "update" not in command:
        yield bare(command)
        return
    for update in command["updates"]:
        yield {"update": command["update"], "updates": [update]}


def bare(command: Command) -> Command:
    dropped = OF_THE_DRIVER | NOT_EXPLAINED
    return {name: value for name, value in command.items() if name not in dropped}


def stages(plan: dict[str, Any]) -> Iterator[str]:
    yield plan["stage"]
    children = [
        *plan.get("inputStages", []),
        *([plan["inputStage"]] if "inputStage" in plan else []),
    ]
    for child in children:
        yield from stages(child)
