"""A whole node on a fake clock, and time in the hand of a test: a year passes in about a second.

    async with node(MyTask()) as later:
        await later.schedules.create(spec, id="backup")
        await later.travel(timedelta(days=365))
        runs = await later.runs("backup")

Everything is what ``later serve`` runs, planning, claiming, retrying, but for three things: there is no
gRPC server, the store is the one in memory, and nobody waits for time to pass.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from later_core.app import RunningNode
from later_core.app import node as running_node
from later_core.app.hearing import EventWatcher
from later_core.model.instance import Instance
from later_core.model.instant import LATEST
from later_core.model.query import Filter, PageKey
from later_core.model.state import State
from later_core.plugin.task import Task
from later_core.ports.clock import SystemClock
from later_core.ports.schedules import LookKey
from later_core.ports.store import Store
from later_core.service.instances import Instances
from later_core.service.schedules import Schedules
from later_core.settings import load
from later_core.stores.memory import MemoryStore
from later_core.testing.clock import FakeClock
from later_core.testing.plugins import installed, tasks_of
from later_core.testing.tasks import GivenTasks

#: A node that is alone needs no short lease. Each hop in time is a little shorter than it, and with a
#: longer one than any server may have, hops are few.
_LEASE = timedelta(days=30)
_HOP = timedelta(days=29)
_SETTINGS = {"recurrence": "1d", "time_ahead": "7d"}
#: Around every moment at which something is due, time passes as it always does: a planner looks ahead,
#: and a heartbeat tells the node what time it is.
_BEFORE = timedelta(seconds=5)
_AFTER = timedelta(seconds=1)
#: The loops of a node that has nothing to do look at the clock once a second.
_IDLE_SECONDS = 1.5
#: So long, of real time, a task in a thread may take.
_PATIENCE_SECONDS = 10.0


class TravellingNode:
    """A node that ``node`` has started.

    ``instances`` and ``schedules`` are its services, which do what the RPCs do. ``clock`` is the clock of
    the node and of its database; a task may sleep by it.
    """

    def __init__(
        self,
        tasks: Sequence[Task],
        *,
        store: Store,
        clock: FakeClock,
        settings: dict[str, Any],
        on_event: EventWatcher | None = None,
    ) -> None:
        self.store = store
        self.clock = clock
        self._tasks = GivenTasks(*tasks)
        self._on_event = on_event
        self._has_threads = any(not inspect.iscoroutinefunction(task.run) for task in tasks)
        self._settings = load(_SETTINGS | settings).model_copy(update={"lease": _LEASE})
        self._stack = AsyncExitStack()
        self._parts: RunningNode | None = None
        self._idle_sleepers = 0

    @property
    def instances(self) -> Instances:
        """The service; RuntimeError during an outage."""
        return self._running.instances

    @property
    def schedules(self) -> Schedules:
        """The service; RuntimeError during an outage."""
        return self._running.schedules

    @property
    def now(self) -> datetime:
        """The time here, UTC."""
        return self.clock.now()

    async def travel(self, to: datetime | timedelta) -> None:
        """Let time pass, up to an instant or for so long. What is due on the way happens in its time.

        Runs on the event loop go as far as they get without waiting for anything but ``clock``; those in
        threads are waited for.
        """
        end = to if isinstance(to, datetime) else self.now + to
        while self.now < end:
            moment = await self._next_moment()
            near = min(moment - _BEFORE, self.now + _HOP, end)
            if near > self.now:
                await self.clock.jump((near - self.now).total_seconds())
            else:
                passing = min(moment + _AFTER, end) - self.now
                await self.clock.advance(passing.total_seconds())
            if self._has_threads:
                await self._let_threads_end()

    async def outage(self, duration: timedelta) -> None:
        """The node stops, nobody is there for so long, and another one starts."""
        await self.stop()
        await self.clock.advance(duration.total_seconds())
        await self.start()

    async def runs(self, schedule_id: str) -> Sequence[Instance]:
        """Every instance of a schedule, in order of execution time."""
        found: list[Instance] = []
        after: PageKey | None = None
        while True:
            page = await self.store.list(Filter(schedule_id=schedule_id), after=after, limit=1000)
            found += page.instances
            after = page.next
            if after is None:
                return found

    async def start(self) -> None:
        """Start a node on the store."""
        parts = await self._stack.enter_async_context(
            running_node(
                self.store,
                self._tasks,
                self._settings,
                self.clock,
                stop=asyncio.Event(),
                watch_loop=False,
                on_event=self._on_event,
            )
        )
        assert parts is not None  # nobody stops it before it has joined
        self._parts = parts
        await self.clock.settle()
        self._idle_sleepers = self._near_sleepers()

    async def stop(self) -> None:
        """Stop the node: what runs is handed back."""
        parts, self._parts = self._running, None
        # It takes its time to leave, and that must pass.
        async with asyncio.TaskGroup() as group:
            passing = group.create_task(_pass_time(self.clock))
            await parts.drain(timedelta())
            passing.cancel()
        await self._stack.aclose()

    @property
    def is_running(self) -> bool:
        """Whether there is a node."""
        return self._parts is not None

    @property
    def _running(self) -> RunningNode:
        if self._parts is None:
            raise RuntimeError("there is no node during an outage")
        return self._parts

    async def _next_moment(self) -> datetime:
        """When something is due next, or somebody wakes. What is stuck in the past is left alone."""
        if self._near_sleepers() > self._idle_sleepers:
            return self.now
        since = self.now
        moments = [LATEST]
        due = await self.store.due(
            tasks=self._tasks.names(), since=since, until=LATEST, after=None, limit=1
        )
        moments += [datetime.fromtimestamp(entry.due_ms / 1000, UTC) for entry in due]
        schedules = await self.store.schedules_due(
            until=LATEST, buckets=None, after=LookKey(since, ""), limit=1
        )
        moments += [schedule.look_time for schedule in schedules if schedule.look_time]
        wakings = (left for left in self.clock.waits() if left > _IDLE_SECONDS)
        moments += [self.now + timedelta(seconds=left) for left in islice(wakings, 1)]
        return max(min(moments), self.now)

    def _near_sleepers(self) -> int:
        return sum(left <= _IDLE_SECONDS for left in self.clock.waits())

    async def _let_threads_end(self) -> None:
        real = SystemClock()
        until = real.monotonic() + _PATIENCE_SECONDS
        running = Filter(states=frozenset({State.RUNNING}))
        while (await self.store.list(running, after=None, limit=1)).instances:
            if real.monotonic() > until:
                return
            await real.sleep(0.001)
            await self.clock.settle()


#: What the fixture ``node`` is: ``node`` below.
StartNode = Callable[..., AbstractAsyncContextManager[TravellingNode]]


@asynccontextmanager
async def node(
    *tasks: Task,
    start: datetime = datetime(2030, 1, 1, tzinfo=UTC),
    store: Store | None = None,
    clock: FakeClock | None = None,
    plugin: object | None = None,
    plugin_settings: Mapping[str, Any] | None = None,
    **settings: Any,
) -> AsyncIterator[TravellingNode]:
    """A node with these tasks installed. Time begins at ``start`` and passes in ``travel`` alone.

    ``plugin`` (what an entry point names) brings all that it has: its tasks, what it keeps open, and its
    ear for events; ``plugin_settings`` are its settings where they are not the defaults.
    ``settings`` are those of ``later serve`` (``catch_up_rate=5``). Enter and leave it in one and the
    same asyncio task: in the test itself, not in an async fixture.

    Raises:
        ValueError: a server would not use the plugin.

    """
    clock = clock or FakeClock(start)
    async with AsyncExitStack() as stack:
        on_event: EventWatcher | None = None
        if plugin is not None:
            catalog = await stack.enter_async_context(installed(plugin, plugin_settings))
            tasks += tasks_of(catalog)
            on_event = catalog.on_event if catalog.has_event_plugins else None
        travelling = TravellingNode(
            tasks,
            store=store or MemoryStore(clock=clock),
            clock=clock,
            settings=settings,
            on_event=on_event,
        )
        await travelling.start()
        try:
            yield travelling
        finally:
            if travelling.is_running:
                await travelling.stop()


async def _pass_time(clock: FakeClock) -> None:
    while True:
        await clock.advance(0.1)
