"""AdminService: what operators ask."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

from later_core.errors import InvalidRequest
from later_core.model.instance import Instance
from later_core.model.limits import ID_MAX_LENGTH
from later_core.model.schedule import Schedule
from later_core.rpc.convert import from_filter
from later_core.rpc.convert_inventory import to_node, to_stats
from later_core.rpc.convert_transfer import (
    from_exported_instance,
    from_exported_schedule,
    from_import_options,
    to_export_responses,
    to_import_response,
)
from later_core.rpc.errors import to_status
from later_core.rpc.pipeline import answer_in_order
from later_core.rpc.tokens import from_export_token
from later_core.rpc.v1 import later_pb2 as pb
from later_core.rpc.v1.later_pb2_grpc import AdminServiceServicer
from later_core.service.inventory import Inventory
from later_core.service.nodes import Nodes
from later_core.service.transfer import Transfer

_Context = Any  # grpc.aio.ServicerContext

#: Batches of one import that are processed at a time.
_BATCHES_IN_FLIGHT = 4


class AdminServicer(AdminServiceServicer):
    """Between the wire and ``service.Inventory``, ``service.Nodes`` and ``service.Transfer``."""

    def __init__(self, *, inventory: Inventory, nodes: Nodes, transfer: Transfer) -> None:
        self._transfer = transfer
        self._inventory = inventory
        self._nodes = nodes

    async def GetStats(self, request: pb.GetStatsRequest, context: _Context) -> pb.GetStatsResponse:
        return to_stats(await self._inventory.stats())

    async def ListNodes(
        self, request: pb.ListNodesRequest, context: _Context
    ) -> pb.ListNodesResponse:
        return pb.ListNodesResponse(nodes=[to_node(node) for node in await self._nodes.list()])

    async def DrainNode(
        self, request: pb.DrainNodeRequest, context: _Context
    ) -> pb.DrainNodeResponse:
        return pb.DrainNodeResponse(node=to_node(await self._nodes.drain(request.id)))

    async def ExportInstances(
        self, request: pb.ExportInstancesRequest, context: _Context
    ) -> AsyncIterator[pb.ExportInstancesResponse]:
        parts = self._transfer.export(
            from_filter(request.filter),
            place=from_export_token(request.resume_token),
            only_instances=request.only_instances,
        )
        async with aclosing(parts):
            async for part in parts:
                for response in to_export_responses(part):
                    yield response

    async def ImportInstances(  # type: ignore[override]  # writes by itself
        self, request_iterator: AsyncIterator[pb.ImportInstancesRequest], context: _Context
    ) -> None:
        await answer_in_order(
            request_iterator, self._import_batch, context.write, in_flight=_BATCHES_IN_FLIGHT
        )

    async def _import_batch(self, request: pb.ImportInstancesRequest) -> pb.ImportInstancesResponse:
        """Wrong ones fail alone, named by their ids."""
        response = pb.ImportInstancesResponse()
        instances: list[Instance] = []
        schedules: list[Schedule] = []
        for exported in request.instances:
            try:
                instances.append(from_exported_instance(exported))
            except InvalidRequest as error:
                response.failures.add(
                    id=exported.instance.id[:ID_MAX_LENGTH], error=to_status(error, brief=True)
                )
        for shown in request.schedules:
            try:
                schedules.append(from_exported_schedule(shown))
            except InvalidRequest as error:
                response.failures.add(
                    id=shown.schedule.id[:ID_MAX_LENGTH],
                    is_schedule=True,
                    error=to_status(error, brief=True),
                )
        report = await self._transfer.import_batch(
            instances, schedules, from_import_options(request)
        )
        response.MergeFrom(to_import_response(report))
        return response
