"""The grpc.aio server: everything that is served, under one address."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from types import TracebackType
from typing import Self

import grpc
import structlog
from grpc_channelz.v1 import channelz_pb2, channelz_pb2_grpc
from grpc_channelz.v1.channelz import aio as channelz  # type: ignore[attr-defined]  # unknown to the stubs
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import SERVICE_NAME as HEALTH_NAME
from grpc_health.v1.health import aio as health  # type: ignore[attr-defined]  # unknown to the stubs

from later_core.errors import ListenFailed
from later_core.ports.clock import SystemClock
from later_core.ports.observer import Observer
from later_core.rpc.auth.guard import Access
from later_core.rpc.certificates import Certificates
from later_core.rpc.interceptor import Interceptor
from later_core.rpc.listening import check_free
from later_core.rpc.reflection import SERVICE_NAMES as REFLECTION_NAMES
from later_core.rpc.reflection import add_reflection
from later_core.rpc.servicers.admin import AdminServicer
from later_core.rpc.servicers.instances import InstanceServicer
from later_core.rpc.servicers.schedules import ScheduleServicer
from later_core.rpc.servicers.tasks import TaskServicer
from later_core.rpc.transport import MAX_CALLS, Transport, server_options
from later_core.rpc.v1 import later_pb2, later_pb2_grpc
from later_core.service.instances import Instances
from later_core.service.inventory import Inventory
from later_core.service.nodes import Nodes
from later_core.service.schedules import Schedules
from later_core.service.subscriptions import Subscriptions
from later_core.service.transfer import Transfer

log = structlog.get_logger(__name__)

OWN_NAMES = tuple(service.full_name for service in later_pb2.DESCRIPTOR.services_by_name.values())
_CHANNELZ_NAME = channelz_pb2.DESCRIPTOR.services_by_name["Channelz"].full_name
SERVICE_NAMES = (*OWN_NAMES, HEALTH_NAME, _CHANNELZ_NAME)

_SERVING = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
_USUAL = Transport()


class RpcServer:
    """An async context manager: entering binds and serves, leaving ends streams and calls.

    Health is NOT_SERVING until ``set_serving(True)``. Leaving ends streams with UNAVAILABLE at
    once, lets calls under way finish for as long as ``grace``, then cuts them off.
    """

    #: Where it listens, once entered; with port 0 in ``listen``, the port that was found.
    address: str

    def __init__(  # noqa: PLR0913 - one service for each group of calls, by its name
        self,
        *,
        listen: str,
        instances: Instances,
        schedules: Schedules,
        subscriptions: Subscriptions,
        inventory: Inventory,
        nodes: Nodes,
        transfer: Transfer,
        access: Access,
        transport: Transport = _USUAL,
        observer: Observer | None = None,
        grace: timedelta = timedelta(seconds=5),
    ) -> None:
        self._listen = listen
        self._instances = instances
        self._schedules = schedules
        self._subscriptions = subscriptions
        self._inventory = inventory
        self._nodes = nodes
        self._transfer = transfer
        self._transport = transport
        self._access = access
        self._grace = grace
        self._interceptor = Interceptor(clock=SystemClock(), observer=observer, guard=access.guard)
        self._is_serving = False
        self._serving_changed = asyncio.Event()
        self._group = asyncio.TaskGroup()

    async def __aenter__(self) -> Self:
        """Bind and serve.

        Raises:
            ListenFailed, CertificateUnusable.

        """
        self._health = health.HealthServicer()
        await self._tell(_NOT_SERVING)
        self._server = self._assemble()
        self.address = self._bind()
        await self._server.start()
        await self._group.__aenter__()
        self._loops = [self._group.create_task(self._follow_serving())]
        if self._access.guard is not None:
            self._loops.append(self._group.create_task(self._access.guard.run()))
        log.info("listening", address=self.address)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for loop in self._loops:
            loop.cancel()
        try:
            await self._health.enter_graceful_shutdown()
            self._interceptor.stop()
            await self._server.stop(self._grace.total_seconds())
        except asyncio.CancelledError:
            await self._server.stop(None)
            raise
        finally:
            await self._group.__aexit__(None, None, None)

    def set_serving(self, serving: bool) -> None:
        """Tell health checks, overall and of each service, within a turn of the event loop."""
        self._is_serving = serving
        self._serving_changed.set()

    def _assemble(self) -> grpc.aio.Server:
        server = grpc.aio.server(
            interceptors=(self._interceptor,),
            options=server_options(self._transport),
            maximum_concurrent_rpcs=MAX_CALLS,
        )
        later_pb2_grpc.add_InstanceServiceServicer_to_server(
            InstanceServicer(instances=self._instances, subscriptions=self._subscriptions), server
        )
        later_pb2_grpc.add_ScheduleServiceServicer_to_server(
            ScheduleServicer(schedules=self._schedules), server
        )
        later_pb2_grpc.add_TaskServiceServicer_to_server(
            TaskServicer(inventory=self._inventory), server
        )
        later_pb2_grpc.add_AdminServiceServicer_to_server(
            AdminServicer(
                inventory=self._inventory,
                nodes=self._nodes,
                tokens=self._access.tokens,
                audit_log=self._access.audit_log,
                standing=self._instances.standing,
                transfer=self._transfer,
            ),
            server,
        )
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        channelz_pb2_grpc.add_ChannelzServicer_to_server(channelz.ChannelzServicer(), server)
        add_reflection(server, SERVICE_NAMES)
        return server

    def _bind(self) -> str:
        tls = self._transport.tls
        credentials = Certificates(tls).credentials() if tls else None
        if not self._transport.shares_port:
            check_free(self._listen)
        try:
            if credentials:
                port = self._server.add_secure_port(self._listen, credentials)
            else:
                port = self._server.add_insecure_port(self._listen)
        except RuntimeError:
            raise ListenFailed(self._listen) from None
        if self._listen.startswith("unix"):
            return self._listen
        host, _, _ = self._listen.rpartition(":")
        return f"{host}:{port}"

    async def _follow_serving(self) -> None:
        while True:
            await self._serving_changed.wait()
            self._serving_changed.clear()
            await self._tell(_SERVING if self._is_serving else _NOT_SERVING)

    async def _tell(self, status: health_pb2.HealthCheckResponse.ServingStatus.ValueType) -> None:
        for name in ("", *SERVICE_NAMES, *REFLECTION_NAMES):
            await self._health.set(name, status)
