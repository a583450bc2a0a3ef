"""Loop: write what was noted into the audit log, in groups."""

from __future__ import annotations

from typing import Self

import structlog

from later_core.errors import StoreUnavailable
from later_core.local.audit_trail import AuditTrail
from later_core.ports.clock import Clock
from later_core.ports.store import Store

_log = structlog.get_logger(__name__)

#: Entries of one write.
_BATCH = 1_000
#: How long what was noted waits for company, in seconds.
_PACE = 0.25


class Auditor:
    """While the database is away what was noted waits, as far as there is room. Leaving the context
    writes what still waits, if the database answers.
    """

    def __init__(self, *, store: Store, trail: AuditTrail, clock: Clock) -> None:
        self._store = store
        self._trail = trail
        self._clock = clock

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *failure: object) -> None:
        try:
            await self._write()
        except StoreUnavailable:
            _log.error("audit entries are lost: the database does not answer")

    async def run(self) -> None:
        """Write for ever.

        Raises:
            StoreUnavailable: run again; nothing is lost or written twice.
        """
        while True:
            await self._trail.filled.wait()
            await self._write()
            await self._clock.sleep(_PACE)

    async def _write(self) -> None:
        while entries := self._trail.waiting(_BATCH):
            await self._store.append_audit(entries)
            self._trail.written(entries)
