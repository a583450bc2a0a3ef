"""What the checks of a store do again and again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Coroutine, Sequence
from contextlib import aclosing, asynccontextmanager
from datetime import datetime, timedelta
from typing import Any, TypeVar

from later_core.errors import LaterError
from later_core.model.event import Event, EventBatch
from later_core.model.instance import Instance
from later_core.model.instant import from_millis, to_millis
from later_core.model.query import DueEntry, Filter, PageKey
from later_core.ports.store import Inserted, Store
from later_core.testing.builders import an_instance, failed_for_now, succeeded

T = TypeVar("T")
U = TypeVar("U")

#: The fixture ``advance``: makes at least so many seconds pass for the store.
Advance = Callable[[float], Awaitable[None]]

#: Real seconds after which a store that says nothing has failed the check.
PATIENCE = 20.0

NODE = "node-a"
OTHER_NODE = "node-b"
SECOND = timedelta(seconds=1)
MILLISECOND = timedelta(milliseconds=1)
HOUR = timedelta(hours=1)


async def together(*calls: Coroutine[Any, Any, T]) -> list[T]:
    """Run the calls at the same time; their answers in the order of the arguments."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(call) for call in calls]
    return [task.result() for task in tasks]


async def both(first: Coroutine[Any, Any, T], second: Coroutine[Any, Any, U]) -> tuple[T, U]:
    """Run two calls of different kinds at the same time."""
    async with asyncio.TaskGroup() as group:
        first_task = group.create_task(first)
        second_task = group.create_task(second)
    return first_task.result(), second_task.result()


async def outcome_of(call: Coroutine[Any, Any, T]) -> T | LaterError:
    """The answer, or the error as a value."""
    try:
        return await call
    except LaterError as error:
        return error


async def moment_of(store: Store) -> datetime:
    """The store's now in whole milliseconds, as it keeps every instant."""
    return from_millis(to_millis(await store.now()))


async def insert(store: Store, *instances: Instance) -> None:
    """Store instances that must all be new."""
    results = await store.insert(instances)
    assert results == [Inserted(instance, is_new=True) for instance in instances]


async def claim(store: Store, *ids: str, node: str = NODE) -> list[Instance]:
    """Claim instances of which all must be there to be claimed; in the order of the ids."""
    claimed = await store.claim(ids, node=node, until=await moment_of(store) + HOUR)
    by_id = {instance.id: instance for instance in claimed}
    assert by_id.keys() == set(ids)
    return [by_id[id] for id in ids]


async def run(store: Store, *ids: str, node: str = NODE, **fields: Any) -> list[Instance]:
    """Insert instances that are due now, and claim them."""
    now = await moment_of(store)
    await insert(store, *(an_instance(id, execution_time=now, **fields) for id in ids))
    return await claim(store, *ids, node=node)


async def existing(store: Store, id: str) -> Instance:
    """The instance of this id, which must be there."""
    instance = await store.get(id)
    assert instance is not None
    return instance


async def live(store: Store, id: str) -> list[Instance]:
    """A short life: created, failed once, succeeded. Answers the instance at each revision."""
    now = await moment_of(store)
    states = [an_instance(id, execution_time=now)]
    await insert(store, states[0])
    states += await claim(store, id)
    assert await store.finish([failed_for_now(states[-1], at=now, next_time=now)]) == [True]
    states.append(await existing(store, id))
    states += await claim(store, id)
    assert await store.finish([succeeded(states[-1], at=now)]) == [True]
    states.append(await existing(store, id))
    assert [state.revision for state in states] == [1, 2, 3, 4, 5]
    return states


async def all_pages(store: Store, filter: Filter, *, limit: int) -> list[Sequence[Instance]]:
    """Every page of the list, followed key by key."""
    pages: list[Sequence[Instance]] = []
    key: PageKey | None = None
    while True:
        page = await store.list(filter, after=key, limit=limit)
        pages.append(page.instances)
        key = page.next
        if key is None:
            return pages


async def all_due(
    store: Store,
    *,
    until: datetime,
    tasks: Collection[str] = ("echo",),
    buckets: Collection[int] | None = None,
    since: datetime | None = None,
    limit: int = 1000,
) -> list[DueEntry]:
    """Everything that is due, walked to the empty answer."""
    entries: list[DueEntry] = []
    while True:
        answer = await store.due(
            tasks=tasks,
            buckets=buckets,
            since=since,
            until=until,
            after=entries[-1] if entries else None,
            limit=limit,
        )
        assert len(answer) <= limit
        if not answer:
            return entries
        entries += answer


class Reader:
    """Reads one ``follow``, batch by batch."""

    def __init__(self, batches: AsyncIterator[EventBatch]) -> None:
        self._batches = batches
        self.read: list[EventBatch] = []

    async def batch(self) -> EventBatch:
        """The next batch, whatever is in it."""
        async with asyncio.timeout(PATIENCE):
            batch = await anext(self._batches)
        self.read.append(batch)
        return batch

    async def until(self, mark: str) -> list[Event]:
        """The events up to the one of the instance of this id, without that one."""
        events: list[Event] = []
        while True:
            for event in (await self.batch()).events:
                assert event.instance is not None
                if event.instance.id == mark:
                    return events
                events.append(event)

    async def bookmark(self, advance: Advance) -> EventBatch:
        """The next batch while time passes."""
        async with asyncio.TaskGroup() as group:
            reading = group.create_task(self.batch())
            while not reading.done():
                await advance(0.1)
        return reading.result()


@asynccontextmanager
async def following(store: Store, position: str | None) -> AsyncIterator[Reader]:
    """Follow the store from this position, and let go of it in the end."""
    batches = store.follow(position)
    try:
        yield Reader(batches)
    finally:
        close = getattr(batches, "aclose", None)
        if close is not None:
            await close()


@asynccontextmanager
async def hearing(store: Store, position: str | None) -> AsyncIterator[Reader]:
    """Hear the store's news from this position, and let go of them in the end."""
    async with aclosing(store.news(position)) as batches:
        yield Reader(batches)


async def position_now(store: Store) -> str:
    """A position behind everything that has happened."""
    async with following(store, None) as reader:
        return (await reader.batch()).position


async def put_mark(store: Store, id: str = "mark") -> None:
    """Insert an instance whose event tells a reader that all before it has been told."""
    await insert(store, an_instance(id, execution_time=await moment_of(store) + HOUR, task="mark"))


async def story_since(store: Store, position: str | None, *, mark: str = "mark") -> list[Event]:
    """The events behind the position, up to the mark."""
    async with following(store, position) as reader:
        return await reader.until(mark)
