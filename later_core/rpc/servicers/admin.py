"""AdminService: what operators ask."""

from __future__ import annotations

from typing import Any

from later_core.rpc.convert_inventory import to_stats
from later_core.rpc.v1 import later_pb2 as pb
from later_core.rpc.v1.later_pb2_grpc import AdminServiceServicer
from later_core.service.inventory import Inventory

_Context = Any  # grpc.aio.ServicerContext


class AdminServicer(AdminServiceServicer):
    """Between the wire and ``service.Inventory``."""

    def __init__(self, *, inventory: Inventory) -> None:
        self._inventory = inventory

    async def GetStats(self, request: pb.GetStatsRequest, context: _Context) -> pb.GetStatsResponse:
        return to_stats(await self._inventory.stats())
