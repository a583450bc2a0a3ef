"""Who may call this server: the ways that the settings name, put together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from later_core.engine.auditor import Auditor
from later_core.local.audit_trail import AuditTrail
from later_core.local.database_clock import DatabaseClock
from later_core.model.binding import parse_binding
from later_core.ports.clock import Clock
from later_core.ports.store import Store
from later_core.service.audit import AuditLog
from later_core.service.tokens import Tokens

if TYPE_CHECKING:
    from later_core.rpc.auth.gate import Verifier
    from later_core.rpc.auth.guard import Access
    from later_core.settings import Settings


@dataclass(frozen=True, kw_only=True)
class AccessParts:
    """What a node has of it: tokens, the log, and what is still to be written into that."""

    tokens: Tokens
    audit_log: AuditLog
    audit_trail: AuditTrail
    auditor: Auditor

    @classmethod
    def of(
        cls, store: Store, settings: Settings, clock: Clock, database_clock: DatabaseClock
    ) -> AccessParts:
        """On a store, as the settings say."""
        trail = AuditTrail(database_clock=database_clock)
        secret = settings.admin_token
        return cls(
            tokens=Tokens(
                store=store,
                database_clock=database_clock,
                admin_secret=None if secret is None else secret.get_secret_value(),
            ),
            audit_log=AuditLog(store=store),
            audit_trail=trail,
            auditor=Auditor(store=store, trail=trail, clock=clock),
        )


def access(settings: Settings, parts: AccessParts, clock: Clock) -> Access:
    """What the server needs to know of who may. Without ``auth`` everybody may do everything.

    Raises:
        Misconfigured: a way needs what is not there.
    """
    from later_core.rpc.auth.gate import Gate
    from later_core.rpc.auth.guard import Access, Guard
    from later_core.rpc.auth.subjects import SubjectNames

    guard = None
    if settings.auth:
        gate = Gate(
            clock=clock,
            tokens=parts.tokens if "token" in settings.auth else None,
            jwts=_jwts(settings, clock) if "jwt" in settings.auth else None,
            certificates=(
                SubjectNames([parse_binding(text) for text in settings.mtls_roles])
                if "mtls" in settings.auth
                else None
            ),
        )
        guard = Guard(gate=gate, trail=parts.audit_trail, clock=clock)
    return Access(tokens=parts.tokens, audit_log=parts.audit_log, guard=guard)


def _jwts(settings: Settings, clock: Clock) -> Verifier:
    from later_core.rpc.auth.jwts import Expected, Jwts

    return Jwts(
        keys=settings.jwt_keys or "",
        expected=Expected(
            issuer=settings.jwt_issuer or "",
            audience=settings.jwt_audience or "",
            algorithms=settings.jwt_algorithms,
            principal_claim=settings.jwt_principal,
            roles_claim=settings.jwt_claim,
            tasks_claim=settings.jwt_tasks,
            labels_claim=settings.jwt_labels,
            bindings=[parse_binding(text) for text in settings.jwt_roles],
        ),
        clock=clock,
    )
