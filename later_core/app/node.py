"""One node put together: every loop and service, and the order in which they come and go."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING

import structlog

from later_core.app.access import AccessParts
from later_core.app.figures import flags, show_figures
from later_core.app.hearing import EventWatcher, shared_out
from later_core.app.identity import describe, new_node_id
from later_core.app.lifecycle import dispatch, patiently, run_loops
from later_core.app.load import join, overload_of, quotas_of
from later_core.engine.admission import Admission
from later_core.engine.carrier import Carrier
from later_core.engine.dispatcher import Dispatcher, Pace
from later_core.engine.drainer import Drainer
from later_core.engine.feeder import Feeder
from later_core.engine.finisher import Finisher
from later_core.engine.follower import Follower
from later_core.engine.keeper import Keeper
from later_core.engine.means import Means
from later_core.engine.news import News
from later_core.engine.permits import PermitBook
from later_core.engine.places import PlaceRules, Places
from later_core.engine.planner import Planner
from later_core.engine.recorder import Recorder
from later_core.engine.runner import Bounds, Runner
from later_core.engine.slots import Slots
from later_core.engine.surroundings import Surroundings
from later_core.engine.telling import Telling
from later_core.engine.timekeeper import Timekeeper
from later_core.engine.watchdog import Watchdog
from later_core.local.database_clock import DatabaseClock
from later_core.local.doorbell import Doorbell
from later_core.local.feed_lag import feed_lags
from later_core.local.health import Health
from later_core.local.hub import Hub
from later_core.local.intake import Intake
from later_core.local.lateness import LatenessRecord
from later_core.local.lease import Lease
from later_core.local.lobby import Lobby
from later_core.local.membership import Membership
from later_core.local.runs import Runs
from later_core.local.window import Window
from later_core.ports.clock import Clock
from later_core.ports.observer import Observer
from later_core.ports.store import Store
from later_core.ports.tasks import Tasks, WithLimits
from later_core.service.instances import Instances
from later_core.service.inventory import Inventory
from later_core.service.nodes import Nodes
from later_core.service.schedule_runs import ScheduleRuns
from later_core.service.schedules import Schedules
from later_core.service.subscriptions import Subscriptions
from later_core.service.transfer import Transfer

if TYPE_CHECKING:
    from later_core.settings import Settings

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class RunningNode:
    """What the walls of a node need of it: the services, its health, and how it comes to rest."""

    instances: Instances
    schedules: Schedules
    subscriptions: Subscriptions
    inventory: Inventory
    nodes: Nodes
    transfer: Transfer
    access: AccessParts
    health: Health
    #: Says where the node answers: with port 0 in the settings only its server knows. The others
    #: learn of it by the next heartbeat.
    answers_at: Callable[[str], None]
    #: Claims nothing more and lets the running finish within the grace; what is left goes back.
    drain: Callable[[timedelta], Awaitable[None]]


@asynccontextmanager
async def node(
    store: Store,
    tasks: Tasks,
    settings: Settings,
    clock: Clock,
    *,
    stop: asyncio.Event,
    on_event: EventWatcher | None = None,
    new_id: Callable[[], str] | None = None,
    watch_loop: bool = True,
    observer: Observer | None = None,
) -> AsyncIterator[RunningNode | None]:
    """One node on an open store, without its gRPC server; None if it was stopped before it joined.

    ``new_id`` makes the ids under which the node lives. ``watch_loop``: let a thread notice
    whatever blocks the event loop; of no use where time is faked. ``observer`` is told what happens.
    """
    tasks = WithLimits(tasks, settings)
    started_at, database_clock = clock.now(), DatabaseClock(clock, is_shared=store.shares_clock)
    window, lobby, hub, health, doorbell = Window(), Lobby(), Hub(), Health(), Doorbell()
    lateness, lags = LatenessRecord(), feed_lags(clock, database_clock)
    runs = Runs(capacity=settings.max_running, observer=observer)
    lease = Lease(clock, seconds=settings.lease.total_seconds())
    membership = Membership(tasks=tasks.names())
    intake = Intake(window=window, membership=membership, database_clock=database_clock)

    keeper = Keeper(
        store=store,
        clock=clock,
        database_clock=database_clock,
        lease=lease,
        health=health,
        runs=runs,
        surroundings=Surroundings(
            membership=membership,
            window=window,
            intake=intake,
            database_clock=database_clock,
        ),
        describe=partial(describe, settings, store, tasks, started_at, new_id or new_node_id),
    )
    finisher = Finisher(
        store=store,
        intake=intake,
        clock=clock,
        database_clock=database_clock,
        on_scheduled_end=doorbell.ring,
    )
    places = Places(
        PlaceRules(limits=tasks.concurrency_limits, breakers=tasks.breakers), clock=clock
    )
    admission = Admission(
        means=Means(
            slots=Slots(store=store, lease=lease, clock=clock),
            permits=PermitBook(store=store, rates=tasks.rates),
            places=places,
            clock=clock,
            database_clock=database_clock,
        ),
        lobby=lobby,
        runs=runs,
        lease=lease,
        clock=clock,
        database_clock=database_clock,
        wake=window.changed.set,
        look_again=window.doubt,
    )
    runner = Runner(
        runs=runs,
        tasks=tasks,
        finisher=finisher,
        lease=lease,
        admission=admission,
        clock=clock,
        database_clock=database_clock,
        bounds=Bounds(threads=settings.threads, time_limits=tasks.time_limits),
        telling=Telling(lateness=lateness, observer=observer),
    )
    dispatcher = Dispatcher(
        store=store,
        window=window,
        runs=runs,
        lease=lease,
        clock=clock,
        database_clock=database_clock,
        admission=admission,
        start=runner.start,
        pace=Pace(claim_lead=settings.claim_lead, catch_up_rate=settings.catch_up_rate),
    )
    planner = Planner(
        store=store,
        clock=clock,
        database_clock=database_clock,
        lease=lease,
        membership=membership,
        doorbell=doorbell,
        carrier=Carrier(
            store=store,
            window=window,
            intake=intake,
            runs=runs,
            lease=lease,
            database_clock=database_clock,
        ),
    )
    drainer = Drainer(
        keeper=keeper,
        planner=planner,
        membership=membership,
        dispatcher=dispatcher,
        runner=runner,
        clock=clock,
        grace=settings.grace,
    )
    feeder = Feeder(
        store=store,
        window=window,
        lobby=lobby,
        clock=clock,
        database_clock=database_clock,
        membership=membership,
        recurrence=settings.recurrence,
        time_ahead=settings.time_ahead,
    )
    news = News(
        store=store,
        window=window,
        intake=intake,
        runs=runs,
        lease=lease,
        membership=membership,
        clock=clock,
        lag=lags["news"],
    )
    follower = Follower(
        store=store,
        hub=hub,
        clock=clock,
        database_clock=database_clock,
        on_event=shared_out(on_event, membership) if on_event else None,
        lag=lags["watches"],
    )
    watchdog = Watchdog(clock=clock, name_of=runner.name_of) if watch_loop else None
    instances = Instances(
        store=store,
        tasks=tasks,
        window=window,
        intake=intake,
        runs=runs,
        lease=lease,
        database_clock=database_clock,
        quotas=quotas_of(settings, store, membership, clock),
        overload=overload_of(window, runs, health, watchdog, clock, database_clock),
    )
    schedules = Schedules(
        store=store,
        tasks=tasks,
        runs=ScheduleRuns(
            store=store,
            instances=instances,
            window=window,
            intake=intake,
            database_clock=database_clock,
        ),
        doorbell=doorbell,
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
        is_breaker_open=places.is_open,
    )
    access = AccessParts.of(store, settings, clock, database_clock)
    loops = {
        "keeper": keeper.run,
        "lease": keeper.guard,
        "timekeeper": Timekeeper(
            store=store, window=window, clock=clock, database_clock=database_clock
        ).run,
        "feeder": feeder.run,
        "admission": admission.run,
        "planner": planner.run,
        "news": news.run,
        "follower": follower.run,
        "recorder": Recorder(store=store, clock=clock, lease=lease, began=runner.began).run,
        "holder": runner.holder.run,
        "deadlines": runner.deadlines.run,
        "drainer": drainer.run,
        "aborted": runner.call_back_aborted,
        **({"watchdog": watchdog.run} if watchdog else {}),
        "auditor": access.auditor.run,
    }
    show_figures(
        observer,
        window=window,
        runs=runs,
        hub=hub,
        several={
            "later.feed.lag": {feed: lag.seconds for feed, lag in lags.items()},
            "later.breaker.open": flags(tasks.breakers, places.is_open),
        },
        watchdog=watchdog,
        health=health,
        clock=clock,
        database_clock=database_clock,
    )
    if not await patiently("join", partial(join, keeper, store, settings), clock, stop):
        yield None
        return
    try:
        async with (
            watchdog or nullcontext(),
            finisher,
            admission,
            runner,
            access.auditor,
            run_loops(loops, clock),
            instances,
            schedules,
            Transfer(store=store, intake=intake) as transfer,
            access.tokens,
            asyncio.TaskGroup() as group,
        ):
            group.create_task(dispatch(dispatcher, health, clock))
            try:
                yield RunningNode(
                    instances=instances,
                    schedules=schedules,
                    subscriptions=Subscriptions(
                        store=store,
                        hub=hub,
                        clock=clock,
                        database_clock=database_clock,
                        max_watches=settings.max_watches,
                    ),
                    inventory=inventory,
                    nodes=Nodes(store=store),
                    transfer=transfer,
                    access=access,
                    health=health,
                    answers_at=keeper.answers_at,
                    drain=drainer.drain,
                )
            finally:
                await drainer.drain(timedelta())
    finally:
        await keeper.leave()
