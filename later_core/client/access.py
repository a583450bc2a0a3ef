"""Tokens and the audit log, seen from afar."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from datetime import timedelta

import grpc

from later_core.client.connection import Connection
from later_core.model.audit import AuditEntry, AuditFilter
from later_core.model.standing import Standing
from later_core.model.token import NewToken, Token
from later_core.rpc.convert_access import (
    from_audit_entry,
    from_token,
    to_audit_request,
    to_new_token,
)
from later_core.rpc.convert_standing import from_standing
from later_core.rpc.times import to_duration
from later_core.rpc.v1 import later_pb2 as pb
from later_core.rpc.v1.later_pb2_grpc import AdminServiceStub

EVERY_ENTRY = AuditFilter()


class AccessCalls(Connection):
    """What ``Client`` asks about who may. Every method raises ``RpcError``."""

    def _use(self, channel: grpc.aio.Channel) -> None:
        super()._use(channel)
        self._access = AdminServiceStub(channel)

    async def create_token(
        self, new: NewToken, *, lifetime: timedelta | None = None
    ) -> tuple[Token, str]:
        """A token, and the one sight of its secret. Without a lifetime it is valid until revoked."""
        request = to_new_token(new)
        if lifetime is not None:
            request.lifetime.CopyFrom(to_duration(lifetime))
        response = await self._call(self._access.CreateToken, request)
        return from_token(response.token), response.secret

    async def tokens(self, *, page_size: int = 0) -> AsyncGenerator[Token]:
        """Every token in order of id, fetched page by page; for a month those no longer valid."""
        request = pb.ListTokensRequest(page_size=page_size)
        while True:
            response = await self._call(self._access.ListTokens, request)
            for token in response.tokens:
                yield from_token(token)
            if not response.next_page_token:
                return
            request.page_token = response.next_page_token

    async def revoke_token(self, id: str) -> Token:
        """The token, worthless within about three seconds on every node."""
        response = await self._call(self._access.RevokeToken, pb.RevokeTokenRequest(id=id))
        return from_token(response.token)

    async def who_am_i(self) -> Standing:
        """Who the caller is to the server that answers, and what it may do and take."""
        return from_standing(await self._call(self._access.WhoAmI, pb.WhoAmIRequest()))

    async def audit(
        self, filter: AuditFilter = EVERY_ENTRY, *, page_size: int = 0
    ) -> AsyncGenerator[AuditEntry]:
        """Every entry of the audit log that matches, the newest first, fetched page by page."""
        request = to_audit_request(filter)
        request.page_size = page_size
        while True:
            response = await self._call(self._access.ListAuditEntries, request)
            for entry in response.entries:
                yield from_audit_entry(entry)
            if not response.next_page_token:
                return
            request.page_token = response.next_page_token
