"""What Later needs from a database to tell who may, and how much: tokens, counts, and the audit log.

A part of ``Store``, under the same three rules.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import datetime

from later_core.model.audit import AuditEntry, AuditFilter, AuditPage
from later_core.model.token import Token


class AccessStore(ABC):
    """Tokens by their ids, and a log to which entries are only ever added."""

    @abstractmethod
    async def insert_token(self, token: Token) -> None:
        """Store a new token; its id is like no other. Repeating the call changes nothing."""

    @abstractmethod
    async def get_tokens(self, ids: Sequence[str]) -> Sequence[Token | None]:
        """The tokens of these ids, durable changes only, in the order of the arguments; None where
        there is none."""

    @abstractmethod
    async def list_tokens(self, *, after: str | None, limit: int) -> Sequence[Token]:
        """At most ``limit`` tokens with ids behind ``after``, in order of id: those that are valid,
        and for a month those that no longer are.
        """

    @abstractmethod
    async def revoke_token(self, id: str, now: datetime) -> Token | None:
        """Set ``revoke_time``; None: there is no such token. A repeated call changes nothing."""

    async def prepare_pending_counts(self) -> None:
        """Make ready, if there is anything to make, for ``count_pending`` to be called often. Safe to
        repeat, and on several nodes at once.
        """

    @abstractmethod
    async def count_pending(self, principal: str, *, at_most: int) -> int:
        """How many instances of this principal are PENDING, those of its schedules included; of an empty
        name, how many of all. It stops at ``at_most``.
        """

    @abstractmethod
    async def append_audit(self, entries: Sequence[AuditEntry]) -> None:
        """Add entries to the log. An entry whose id is there already is left as it is."""

    @abstractmethod
    async def list_audit(self, filter: AuditFilter, *, after: str | None, limit: int) -> AuditPage:
        """A page of at most ``limit`` entries, in descending order of id, behind ``after``.

        Entries are removed once they are older than the retention of the log, and never otherwise.
        """
