"""What people ask of the audit log: to read it. Nothing changes it."""

from __future__ import annotations

from later_core.model.audit import AuditFilter, AuditPage
from later_core.ports.store import Store


class AuditLog:
    """Answers from the store, so that every node gives the same answer."""

    def __init__(self, *, store: Store) -> None:
        self._store = store

    async def list(self, filter: AuditFilter, *, after: str | None, limit: int) -> AuditPage:
        """A page, the newest entry first.

        Raises:
            StoreUnavailable.
        """
        return await self._store.list_audit(filter, after=after, limit=limit)
