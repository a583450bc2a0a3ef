"""AdminService: what operators ask."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import Any

from later_core.model.limits import PAGE_DEFAULT_SIZE
from later_core.model.standing import Standing
from later_core.rpc.convert import from_filter
from later_core.rpc.convert_access import (
    from_audit_filter,
    from_new_token,
    to_audit_entry,
    to_token,
)
from later_core.rpc.convert_inventory import to_node, to_stats
from later_core.rpc.convert_standing import to_standing
from later_core.rpc.convert_transfer import to_export_responses
from later_core.rpc.importing import Importing
from later_core.rpc.pipeline import answer_in_order
from later_core.rpc.times import from_duration
from later_core.rpc.tokens import from_export_token, from_named_token, to_named_token
from later_core.rpc.v1 import later_pb2 as pb
from later_core.rpc.v1.later_pb2_grpc import AdminServiceServicer
from later_core.service.audit import AuditLog
from later_core.service.inventory import Inventory
from later_core.service.nodes import Nodes
from later_core.service.tokens import Tokens
from later_core.service.transfer import Transfer

_Context = Any  # grpc.aio.ServicerContext

#: Batches of one import that are processed at a time.
_BATCHES_IN_FLIGHT = 4


class AdminServicer(AdminServiceServicer):
    """Between the wire, ``service.Inventory``, ``Nodes``, ``Transfer``, ``Tokens`` and ``AuditLog``;
    ``standing`` answers how the caller stands.
    """

    def __init__(
        self,
        *,
        inventory: Inventory,
        nodes: Nodes,
        transfer: Transfer,
        tokens: Tokens,
        audit_log: AuditLog,
        standing: Callable[[], Standing],
    ) -> None:
        self._standing = standing
        self._transfer = transfer
        self._inventory = inventory
        self._nodes = nodes
        self._tokens = tokens
        self._audit_log = audit_log

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

    async def CreateToken(
        self, request: pb.CreateTokenRequest, context: _Context
    ) -> pb.CreateTokenResponse:
        token, secret = await self._tokens.create(
            from_new_token(request),
            lifetime=(
                from_duration(request.lifetime, "lifetime")
                if request.HasField("lifetime")
                else None
            ),
        )
        return pb.CreateTokenResponse(token=to_token(token), secret=secret)

    async def ListTokens(
        self, request: pb.ListTokensRequest, context: _Context
    ) -> pb.ListTokensResponse:
        tokens, next = await self._tokens.list(
            after=from_named_token(request.page_token, "token"),
            limit=request.page_size or PAGE_DEFAULT_SIZE,
        )
        return pb.ListTokensResponse(
            tokens=[to_token(token) for token in tokens],
            next_page_token=to_named_token(next, "token"),
        )

    async def RevokeToken(
        self, request: pb.RevokeTokenRequest, context: _Context
    ) -> pb.RevokeTokenResponse:
        return pb.RevokeTokenResponse(token=to_token(await self._tokens.revoke(request.id)))

    async def ListAuditEntries(
        self, request: pb.ListAuditEntriesRequest, context: _Context
    ) -> pb.ListAuditEntriesResponse:
        page = await self._audit_log.list(
            from_audit_filter(request),
            after=from_named_token(request.page_token, "audit"),
            limit=request.page_size or PAGE_DEFAULT_SIZE,
        )
        return pb.ListAuditEntriesResponse(
            entries=[to_audit_entry(entry) for entry in page.entries],
            next_page_token=to_named_token(page.next, "audit"),
        )

    async def WhoAmI(self, request: pb.WhoAmIRequest, context: _Context) -> pb.WhoAmIResponse:
        return to_standing(self._standing())
