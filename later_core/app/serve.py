"""The whole lifecycle as nested blocks on one page.

Starts top down and stops bottom up: dispatch stops, runs drain, streams end, the server stops, the
loops stop, the node leaves, the store closes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

import structlog

from later_core.local.health import Health
from later_core.ports.clock import SystemClock

if TYPE_CHECKING:
    from later_core.catalog import Catalog
    from later_core.rpc.server import RpcServer
    from later_core.rpc.transport import Transport
    from later_core.settings import Settings

from later_core.app.access import access
from later_core.app.database import store_for
from later_core.app.exposure import check_exposure
from later_core.app.identity import new_node_id
from later_core.app.lifecycle import patiently, run_loops
from later_core.app.node import node
from later_core.telemetry.switch import observing

_log = structlog.get_logger(__name__)


async def serve(
    settings: Settings,
    catalog: Catalog,
    *,
    ready: Callable[[str], None] | None = None,
    stop: asyncio.Event | None = None,
    shares_port: bool = False,
) -> None:
    """Serve until ``stop`` is set; ``ready`` is told the bound address once requests are answered.
    ``shares_port``: other processes of this user listen on the same one.

    A database that is away is waited for, at the start and ever after.

    Raises:
        Misconfigured: a person must act.
    """
    from later_core.rpc.listening import check_free
    from later_core.rpc.server import RpcServer

    check_exposure(settings)
    if not shares_port:
        # Before a MongoDB is started, which would only have to be stopped again.
        check_free(settings.listen)
    stop = stop or asyncio.Event()
    clock = SystemClock()
    on_event = catalog.on_event if catalog.has_event_plugins else None
    name = new_node_id()
    names = iter([name])
    async with (
        catalog.lifespans(settings.plugins, clock),
        observing(
            settings.telemetry, is_collector_named=settings.is_collector_named, instance=name
        ) as observer,
        store_for(settings, catalog, clock, observer) as store,
    ):
        try:
            if not await patiently("open", store.open, clock, stop, remedy=_remedy(settings)):
                return
            async with node(
                store,
                catalog,
                settings,
                clock,
                stop=stop,
                on_event=on_event,
                # First under the name by which telemetry knows this process.
                new_id=lambda: next(names, None) or new_node_id(),
                observer=observer,
            ) as parts:
                if parts is None:
                    return
                server = RpcServer(
                    listen=settings.listen,
                    instances=parts.instances,
                    schedules=parts.schedules,
                    subscriptions=parts.subscriptions,
                    inventory=parts.inventory,
                    nodes=parts.nodes,
                    transfer=parts.transfer,
                    transport=_transport(settings, shares_port=shares_port),
                    observer=observer,
                    access=access(settings, parts.access, clock),
                )
                mirror = {"health": lambda: _tell(parts.health, server)}
                async with server, run_loops(mirror, clock):
                    parts.answers_at(server.address)
                    if ready:
                        ready(server.address)
                    await stop.wait()
                    _log.info("stopping")
                    await parts.drain(settings.grace)
        finally:
            await store.close()
    _log.info("stopped")


def _remedy(settings: Settings) -> str:
    """What to do where the MongoDB of the settings does not answer; the embedded one sees to itself."""
    if settings.mongodb_uri is None:
        return ""
    return (
        "start MongoDB, or correct LATER_MONGODB_URI; later doctor --mongodb-uri URI looks at it;"
        " without LATER_MONGODB_URI the server starts a MongoDB of its own (later-core[embedded])"
    )


def _transport(settings: Settings, *, shares_port: bool) -> Transport:
    from later_core.rpc.transport import Transport

    return Transport(
        tls=settings.server_tls,
        shares_port=shares_port,
        max_connections=settings.max_connections,
        max_streams=settings.max_streams,
        idle=settings.connection_idle,
        age=settings.connection_age,
        grace=settings.connection_grace,
    )


async def _tell(health: Health, server: RpcServer) -> None:
    """Loop: what the health service says is what this node knows."""
    while True:
        health.changed.clear()
        server.set_serving(health.is_serving)
        await health.changed.wait()
