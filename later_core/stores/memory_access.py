"""The tokens and the audit log of the reference store."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from later_core.model.audit import AuditEntry, AuditFilter, AuditPage
from later_core.model.instance import Instance
from later_core.model.state import State
from later_core.model.token import Token
from later_core.ports.access import AccessStore


class MemoryAccess(AccessStore):
    """One part of ``MemoryStore``."""

    _instances: dict[str, Instance]

    def __init__(self) -> None:
        self._tokens: dict[str, Token] = {}
        self._audit: dict[str, AuditEntry] = {}

    @abstractmethod
    async def _yield(self) -> None: ...

    async def insert_token(self, token: Token) -> None:
        await self._yield()
        self._tokens.setdefault(token.id, token)

    async def get_tokens(self, ids: Sequence[str]) -> Sequence[Token | None]:
        await self._yield()
        return [self._tokens.get(id) for id in ids]

    async def list_tokens(self, *, after: str | None, limit: int) -> Sequence[Token]:
        await self._yield()
        behind = sorted(id for id in self._tokens if after is None or id > after)
        return [self._tokens[id] for id in behind[:limit]]

    async def revoke_token(self, id: str, now: datetime) -> Token | None:
        await self._yield()
        token = self._tokens.get(id)
        if token is not None and token.revoke_time is None:
            token = self._tokens[id] = replace(token, revoke_time=now)
        return token

    async def count_pending(self, principal: str, *, at_most: int) -> int:
        await self._yield()
        found = sum(
            instance.state is State.PENDING and (not principal or instance.principal == principal)
            for instance in self._instances.values()
        )
        return min(found, at_most)

    async def append_audit(self, entries: Sequence[AuditEntry]) -> None:
        await self._yield()
        for entry in entries:
            self._audit.setdefault(entry.id, entry)

    async def list_audit(self, filter: AuditFilter, *, after: str | None, limit: int) -> AuditPage:
        await self._yield()
        found = [
            self._audit[id]
            for id in sorted(self._audit, reverse=True)
            if (after is None or id < after) and filter.matches(self._audit[id])
        ]
        page = found[:limit]
        return AuditPage(page, page[-1].id if len(found) > limit else None)

    def _expire_audit(self, *, before: datetime) -> None:
        self._audit = {id: entry for id, entry in self._audit.items() if entry.time > before}
