"""Export and import by the client, against a whole node: what is imported lives on as it should."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from later_core.client.backup import BackupReader, BackupWriter
from later_core.client.client import Client
from later_core.client.transfer import (
    ImportChoices,
    ImportTally,
    export_backup,
    export_request,
    import_backup,
)
from later_core.model.instance import Delivery, Instance
from later_core.model.query import Filter, PageKey
from later_core.model.state import State
from later_core.ports.clock import SystemClock
from later_core.ports.store import Snapshot
from later_core.stores.memory import MemoryStore
from later_core.testing.builders import a_schedule, an_instance
from later_core.testing.store_contract.steps import HOUR, moment_of, run

Serving = Callable[..., AbstractAsyncContextManager[str]]
EVERYTHING = export_request(Filter(), only_instances=False)


class CountingStore(MemoryStore):
    """Knows how many snapshots are open."""

    def __init__(self) -> None:
        super().__init__(clock=SystemClock())
        self.open_snapshots = 0
        self.let_go = asyncio.Event()

    @asynccontextmanager
    async def snapshot(
        self, filter: Filter, *, moment: str | None = None, after: PageKey | None = None
    ) -> AsyncIterator[Snapshot]:
        async with super().snapshot(filter, moment=moment, after=after) as snapshot:
            self.open_snapshots += 1
            try:
                yield snapshot
            finally:
                self.open_snapshots -= 1
                self.let_go.set()


@pytest.fixture
def store() -> CountingStore:
    return CountingStore()


@pytest.fixture
def past() -> Callable[[], Coroutine[Any, Any, bytes]]:
    """A backup of another service: what was overdue, what ran, what waits and what has ended."""

    async def write() -> bytes:
        other = MemoryStore(clock=SystemClock())
        now = await moment_of(other)
        ended = an_instance("ended", execution_time=now, state=State.SUCCEEDED, finish_time=now)
        due = an_instance("overdue", execution_time=now - HOUR)
        waits = an_instance("waits", execution_time=now + HOUR)
        await other.restore([ended, due, waits], replace=False, validate_only=False)
        await run(other, "ran")
        await run(other, "ran-once", delivery=Delivery.AT_MOST_ONCE)
        await other.insert_schedule(a_schedule("hourly", now=now - 3 * HOUR))
        return await backup_of(other)

    return write


async def backup_of(store: MemoryStore) -> bytes:
    """As the service would have written it."""
    from later_core.local.database_clock import DatabaseClock
    from later_core.local.intake import Intake
    from later_core.local.membership import Membership
    from later_core.local.window import Window
    from later_core.rpc.convert_transfer import to_export_responses
    from later_core.service.transfer import Transfer

    intake = Intake(
        window=Window(),
        membership=Membership(tasks=("echo",)),
        database_clock=DatabaseClock(SystemClock()),
    )
    out = io.BytesIO()
    writer = BackupWriter(out)
    writer.begin(EVERYTHING)
    parts = Transfer(store=store, intake=intake).export(Filter(), place=None, only_instances=False)
    async with aclosing(parts):
        async for part in parts:
            for response in to_export_responses(part):
                writer.add(response)
    writer.end()
    return out.getvalue()


async def imported(client: Client, backup: bytes, **choices: bool) -> ImportTally:
    tally = ImportTally()
    async with asyncio.timeout(20):
        reader = BackupReader(io.BytesIO(backup))
        await import_backup(
            client, reader, ImportChoices(**choices), tally, reached=lambda count: None
        )
    return tally


async def until(client: Client, id: str, holds: Callable[[Instance], bool]) -> Instance:
    async with asyncio.timeout(30), aclosing(client.watch(include_existing=True)) as batches:
        async for batch in batches:
            for event in batch.events:
                if event.instance and event.instance.id == id and holds(event.instance):
                    return event.instance
    raise AssertionError


async def test_what_is_overdue_is_started_and_what_ran_lives_on_by_its_delivery(
    client: Client, past: Callable[[], Coroutine[Any, Any, bytes]]
) -> None:
    tally = await imported(client, await past())
    assert tally.instances == {"imported": 5, "recovered": 2}
    assert tally.schedules == {"imported": 1}
    overdue = await until(client, "overdue", lambda instance: instance.state.is_final)
    assert (overdue.state, overdue.attempt) == (State.SUCCEEDED, 1)
    again = await until(client, "ran", lambda instance: instance.state.is_final)
    assert (again.state, again.attempt, again.uncounted_attempts) == (State.SUCCEEDED, 2, 1)
    once = await client.get("ran-once")
    assert (once.state, once.error and once.error.reason) == (State.FAILED, "NODE_LOST")
    assert (await client.get("waits")).state is State.PENDING
    # The schedule makes up for what it missed, as its policy says: the last time.
    async with asyncio.timeout(30):
        while not [i async for i in client.list(Filter(schedule_id="hourly"))]:
            await SystemClock().sleep(0.05)

    # By now they have lived on, and a second import leaves them alone.
    again_tally = await imported(client, await past_of(client))
    assert again_tally.instances["imported"] == 0
    assert again_tally.failed == 0


async def past_of(client: Client) -> bytes:
    """A backup through the wire."""
    out = io.BytesIO()
    told: list[int] = []
    async with asyncio.timeout(20):
        writer = BackupWriter(out)
        await export_backup(
            client, writer, EVERYTHING, told=told.append, reached=lambda totals: None
        )
    assert len(told) == 1
    return out.getvalue()


async def test_only_what_has_ended_and_a_look(
    client: Client, past: Callable[[], Coroutine[Any, Any, bytes]]
) -> None:
    backup = await past()
    looked = await imported(client, backup, validate_only=True)
    assert looked.instances == {"imported": 5, "recovered": 2}
    assert [instance async for instance in client.list()] == []
    ended = await imported(client, backup, only_ended=True)
    assert ended.instances == {"imported": 1, "left_out": 4}
    assert ended.schedules == {"left_out": 1}
    assert [instance.id async for instance in client.list()] == ["ended"]


async def test_an_export_that_is_left_leaves_nothing_open(
    client: Client, store: CountingStore
) -> None:
    now = await moment_of(store)
    await fill(store, now)
    async with aclosing(client.export(EVERYTHING)) as parts:
        await anext(parts)
        assert store.open_snapshots == 1
    async with asyncio.timeout(20):
        await store.let_go.wait()
    assert store.open_snapshots == 0


async def fill(store: MemoryStore, now: datetime) -> None:
    """More than can be on its way at once."""
    some = [
        an_instance(f"{n}", execution_time=now + timedelta(days=1), parameters=b"p" * 100_000)
        for n in range(200)
    ]
    await store.insert(some)


async def test_an_import_that_is_left_can_be_done_again(
    client: Client, store: CountingStore, past: Callable[[], Coroutine[Any, Any, bytes]]
) -> None:
    other = MemoryStore(clock=SystemClock())
    await fill(other, await moment_of(other))
    backup = await backup_of(other)
    reached = asyncio.Event()
    tally = ImportTally()
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        reader = BackupReader(io.BytesIO(backup))
        leaving = group.create_task(
            import_backup(
                client, reader, ImportChoices(), tally, reached=lambda count: reached.set()
            )
        )
        await reached.wait()
        leaving.cancel()
    again = await imported(client, backup)
    assert again.instances["imported"] + again.instances["existing"] == 200
    assert again.failed == 0
    found = {instance.id: instance async for instance in client.list()}
    async with other.snapshot(Filter()) as snapshot:
        async for page in snapshot.pages():
            for instance in page:
                assert found.pop(instance.id) == replace(instance, fingerprint=b"")
    assert not found
