"""The server put together: the whole lifecycle as nested blocks on one page.

Starts top down and stops bottom up: dispatch stops, runs drain, streams end, the server stops, the
loops stop, the node leaves, the store closes.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from importlib.metadata import version
from typing import TYPE_CHECKING

import structlog
import uuid_utils

from later_core.engine.dispatcher import Dispatcher, Pace
from later_core.engine.feeder import Feeder
from later_core.engine.finisher import Finisher
from later_core.engine.follower import Follower
from later_core.engine.keeper import Keeper
from later_core.engine.recorder import Recorder
from later_core.engine.runner import Runner
from later_core.engine.supervisor import backoff, supervise
from later_core.engine.watchdog import Watchdog
from later_core.errors import StoreUnavailable
from later_core.local.database_clock import DatabaseClock
from later_core.local.health import Health
from later_core.local.hub import Hub
from later_core.local.lateness import LatenessRecord
from later_core.local.lease import Lease
from later_core.local.runs import Runs
from later_core.local.window import Window
from later_core.model.event import Event
from later_core.model.node import Node
from later_core.ports.clock import Clock, SystemClock
from later_core.ports.store import Store
from later_core.ports.tasks import Tasks
from later_core.service.instances import Instances
from later_core.service.inventory import Inventory
from later_core.service.subscriptions import Subscriptions

if TYPE_CHECKING:
    from later_core.catalog import Catalog
    from later_core.rpc.server import RpcServer
    from later_core.settings import Settings

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class RunningNode:
    """What the walls of a node need of it: the services, its health, and how it comes to rest."""

    instances: Instances
    subscriptions: Subscriptions
    inventory: Inventory
    health: Health
    #: Claims nothing more and lets the running finish within the grace; what is left goes back.
    drain: Callable[[timedelta], Awaitable[None]]


async def serve(
    settings: Settings,
    catalog: Catalog,
    *,
    ready: Callable[[str], None] | None = None,
    stop: asyncio.Event | None = None,
) -> None:
    """Serve until ``stop`` is set; ``ready`` is told the bound address once requests are answered.

    A database that is away is waited for, at the start and ever after.

    Raises:
        Misconfigured: a person must act.
    """
    from later_core.rpc.server import RpcServer

    stop = stop or asyncio.Event()
    clock = SystemClock()
    on_event = catalog.on_event if catalog.has_event_plugins else None
    async with _store(settings, catalog, clock) as store:
        try:
            if not await _patiently("open", store.open, clock, stop):
                return
            async with node(store, catalog, settings, clock, stop=stop, on_event=on_event) as parts:
                if parts is None:
                    return
                server = RpcServer(
                    listen=settings.listen,
                    instances=parts.instances,
                    subscriptions=parts.subscriptions,
                    inventory=parts.inventory,
                )
                mirror = {"health": lambda: _tell(parts.health, server)}
                async with server, _loops(mirror, clock):
                    if ready:
                        ready(server.address)
                    await stop.wait()
                    _log.info("stopping")
                    await parts.drain(settings.grace)
        finally:
            await store.close()
    _log.info("stopped")


@asynccontextmanager
async def node(
    store: Store,
    tasks: Tasks,
    settings: Settings,
    clock: Clock,
    *,
    stop: asyncio.Event,
    on_event: Callable[[Event], None] | None = None,
) -> AsyncIterator[RunningNode | None]:
    """One node on an open store, without its gRPC server; None if it was stopped before it joined."""
    database_clock = DatabaseClock(clock)
    window, runs, hub, health = Window(), Runs(capacity=settings.max_running), Hub(), Health()
    lateness = LatenessRecord()
    lease = Lease(clock, seconds=settings.lease.total_seconds())
    started_at = clock.now()

    def describe() -> Node:
        return Node(
            id=f"{socket.gethostname()}-{os.getpid()}-{uuid_utils.uuid4().hex[:8]}",
            address=settings.listen,
            version=version("later-core"),
            tasks=tasks.names(),
            started_at=started_at,
        )

    keeper = Keeper(
        store=store,
        clock=clock,
        database_clock=database_clock,
        lease=lease,
        health=health,
        runs=runs,
        window=window,
        describe=describe,
    )
    finisher = Finisher(store=store, window=window, clock=clock, database_clock=database_clock)
    runner = Runner(
        runs=runs,
        tasks=tasks,
        finisher=finisher,
        lease=lease,
        lateness=lateness,
        clock=clock,
        database_clock=database_clock,
        threads=settings.threads,
    )
    dispatcher = Dispatcher(
        store=store,
        window=window,
        runs=runs,
        lease=lease,
        health=health,
        clock=clock,
        database_clock=database_clock,
        start=runner.start,
        pace=Pace(claim_lead=settings.claim_lead, catch_up_rate=settings.catch_up_rate),
    )
    feeder = Feeder(
        store=store,
        window=window,
        clock=clock,
        database_clock=database_clock,
        tasks=tasks.names(),
        recurrence=settings.recurrence,
        time_ahead=settings.time_ahead,
    )
    follower = Follower(
        store=store, hub=hub, clock=clock, database_clock=database_clock, on_event=on_event
    )
    recorder = Recorder(store=store, clock=clock, lease=lease, began=runner.began)
    watchdog = Watchdog(clock=clock)
    instances = Instances(
        store=store,
        tasks=tasks,
        window=window,
        runs=runs,
        lease=lease,
        database_clock=database_clock,
    )
    inventory = Inventory(
        store=store,
        tasks=tasks,
        window=window,
        runs=runs,
        hub=hub,
        lease=lease,
        lateness=lateness,
        version=version("later-core"),
        started_at=started_at,
    )
    loops = {
        "keeper": keeper.run,
        "feeder": feeder.run,
        "follower": follower.run,
        "recorder": recorder.run,
        "deadlines": runner.deadlines.run,
        "aborted": runner.call_back_aborted,
        "watchdog": watchdog.run,
    }
    if not await _patiently("join", keeper.join, clock, stop):
        yield None
        return
    try:
        async with (
            watchdog,
            finisher,
            runner,
            _loops(loops, clock),
            instances,
            asyncio.TaskGroup() as group,
        ):
            dispatching = group.create_task(supervise("dispatcher", dispatcher.run, clock))

            async def drain(grace: timedelta) -> None:
                dispatcher.stop()
                await dispatching
                await runner.drain(grace)

            try:
                yield RunningNode(
                    instances=instances,
                    subscriptions=Subscriptions(
                        store=store, hub=hub, clock=clock, database_clock=database_clock
                    ),
                    inventory=inventory,
                    health=health,
                    drain=drain,
                )
            finally:
                await drain(timedelta())
    finally:
        await keeper.leave()


@asynccontextmanager
async def _store(settings: Settings, catalog: Catalog, clock: Clock) -> AsyncIterator[Store]:
    """The store that a plugin brings, the MongoDB that the settings name, or the embedded one."""
    from later_core.stores.mongo.embedded import EmbeddedMongo
    from later_core.stores.mongo.store import MongoStore

    other = catalog.store(settings.plugins)
    if other is not None:
        yield other
        return

    def mongo(uri: str) -> MongoStore:
        return MongoStore(
            uri=uri, database=settings.database, retention=settings.retention, clock=clock
        )

    if settings.mongodb_uri is not None:
        yield mongo(settings.mongodb_uri.get_secret_value())
        return
    async with EmbeddedMongo(data_dir=settings.data_dir, clock=clock) as embedded:
        yield mongo(embedded.uri)


@asynccontextmanager
async def _loops(
    loops: Mapping[str, Callable[[], Awaitable[None]]], clock: Clock
) -> AsyncIterator[None]:
    """Run loops for the length of the block."""
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(supervise(name, loop, clock), name=name)
            for name, loop in loops.items()
        ]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()


async def _patiently(
    name: str, step: Callable[[], Awaitable[None]], clock: Clock, stop: asyncio.Event
) -> bool:
    """Try a step of the start until the database answers; False when stopped before."""
    failures = 0
    while True:
        try:
            await step()
        except StoreUnavailable as error:
            failures += 1
            _log.warning("waiting for the database", step=name, detail=error.detail)
            if await clock.wait(stop, backoff(failures)):
                return False
        else:
            return True


async def _tell(health: Health, server: RpcServer) -> None:
    """Loop: what the health service says is what this node knows."""
    while True:
        health.changed.clear()
        server.set_serving(health.is_serving)
        await health.changed.wait()
