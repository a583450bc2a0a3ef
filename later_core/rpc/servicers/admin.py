"""AdminService: what operators ask."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

from later_core.rpc.convert import from_filter
from later_core.rpc.convert_inventory import to_node, to_stats
from later_core.rpc.convert_transfer import to_export_responses
from later_core.rpc.importing import Importing
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
        importing = Importing(self._transfer)
        await answer_in_order(
            request_iterator, importing.answer, context.write, in_flight=_BATCHES_IN_FLIGHT
        )
