"""AdminService: what operators ask."""

from __future__ import annotations

from typing import Any

from later_core.rpc.convert_inventory import to_node, to_stats
from later_core.rpc.v1 import later_pb2 as pb
from later_core.rpc.v1.later_pb2_grpc import AdminServiceServicer
from later_core.service.inventory import Inventory
from later_core.service.nodes import Nodes

_Context = Any  # grpc.aio.ServicerContext


class AdminServicer(AdminServiceServicer):
    """Between the wire, ``service.Inventory`` and ``service.Nodes``."""

    def __init__(self, *, inventory: Inventory, nodes: Nodes) -> None:
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
