"""Tokens and the audit log: values <-> protobuf, both ways (the client uses it too)."""

from __future__ import annotations

from later_core.errors import InvalidRequest
from later_core.model.audit import AuditEntry, AuditFilter
from later_core.model.instance import NO_LABELS
from later_core.model.permission import Role
from later_core.model.quota import NONE, Quota, Unbounded, parse_create_rate
from later_core.model.rate import RateLimit
from later_core.model.token import NewToken, Token
from later_core.rpc.times import from_timestamp, to_timestamp
from later_core.rpc.v1 import later_pb2 as pb

TO_ROLE: dict[Role, pb.Role.ValueType] = {role: pb.Role.Value(f"ROLE_{role.name}") for role in Role}
#: How "without a bound" stands on the wire.
NO_BOUND = -1

FROM_ROLE: dict[int, Role] = {number: role for role, number in TO_ROLE.items()}


def to_new_token(new: NewToken) -> pb.CreateTokenRequest:
    """The request that asks for this token."""
    return pb.CreateTokenRequest(
        name=new.name,
        roles=[TO_ROLE[role] for role in new.roles],
        tasks=new.tasks,
        labels=dict(new.labels),
        permissions=new.permissions,
        create_rate=_rate_text(new.quota),
        max_pending=_pending_number(new.quota),
    )


def from_new_token(message: pb.CreateTokenRequest) -> NewToken:
    """What a request asks of a token, its lifetime aside.

    Raises:
        InvalidRequest: a rate is malformed.

    """
    return NewToken(
        name=message.name,
        roles=tuple(FROM_ROLE[number] for number in message.roles),
        tasks=tuple(message.tasks),
        labels=dict(message.labels) if message.labels else NO_LABELS,
        permissions=tuple(message.permissions),
        quota=_quota(message),
    )


def to_token(token: Token) -> pb.Token:
    """A token on the wire."""
    message = pb.Token(
        id=token.id,
        name=token.name,
        roles=[TO_ROLE[role] for role in token.roles],
        tasks=token.tasks,
        labels=dict(token.labels),
        permissions=token.permissions,
        create_time=to_timestamp(token.create_time),
        principal=token.principal,
        create_rate=_rate_text(token.quota),
        max_pending=_pending_number(token.quota),
    )
    if token.expire_time is not None:
        message.expire_time.CopyFrom(to_timestamp(token.expire_time))
    if token.revoke_time is not None:
        message.revoke_time.CopyFrom(to_timestamp(token.revoke_time))
    return message


def from_token(message: pb.Token) -> Token:
    """The token that a server sent."""
    has = message.HasField
    return Token(
        id=message.id,
        name=message.name,
        roles=tuple(FROM_ROLE[number] for number in message.roles),
        tasks=tuple(message.tasks),
        labels=dict(message.labels) if message.labels else NO_LABELS,
        permissions=tuple(message.permissions),
        principal=message.principal,
        quota=_quota(message),
        create_time=from_timestamp(message.create_time, "create_time"),
        expire_time=(
            from_timestamp(message.expire_time, "expire_time") if has("expire_time") else None
        ),
        revoke_time=(
            from_timestamp(message.revoke_time, "revoke_time") if has("revoke_time") else None
        ),
    )


def _rate_text(quota: Quota) -> str:
    return "" if quota.create_rate is None else str(quota.create_rate)


def _pending_number(quota: Quota) -> int:
    return NO_BOUND if quota.max_pending == NONE else quota.max_pending or 0


def _quota(message: pb.CreateTokenRequest | pb.Token) -> Quota:
    rate: RateLimit | Unbounded | None = None
    most: int | Unbounded | None = message.max_pending or None
    if message.create_rate:
        try:
            rate = parse_create_rate(message.create_rate)
        except ValueError as error:
            raise InvalidRequest.of("create_rate", str(error)) from None
    return Quota(create_rate=rate, max_pending=NONE if most == NO_BOUND else most)


def to_audit_request(filter: AuditFilter) -> pb.ListAuditEntriesRequest:
    """The request for entries that match."""
    message = pb.ListAuditEntriesRequest(
        principal=filter.principal or "",
        methods=sorted(filter.methods),
        target=filter.target or "",
        outcomes=sorted(filter.outcomes),
    )
    if filter.start_time is not None:
        message.start_time.CopyFrom(to_timestamp(filter.start_time))
    if filter.end_time is not None:
        message.end_time.CopyFrom(to_timestamp(filter.end_time))
    return message


def from_audit_filter(message: pb.ListAuditEntriesRequest) -> AuditFilter:
    """The conditions meant.

    Raises:
        InvalidRequest: a time is malformed.

    """
    has = message.HasField
    return AuditFilter(
        principal=message.principal or None,
        methods=frozenset(message.methods),
        target=message.target or None,
        outcomes=frozenset(message.outcomes),
        start_time=(
            from_timestamp(message.start_time, "start_time") if has("start_time") else None
        ),
        end_time=from_timestamp(message.end_time, "end_time") if has("end_time") else None,
    )


def to_audit_entry(entry: AuditEntry) -> pb.AuditEntry:
    """An entry on the wire."""
    return pb.AuditEntry(
        id=entry.id,
        time=to_timestamp(entry.time),
        principal=entry.principal,
        method=entry.method,
        target=entry.target,
        outcome=entry.outcome,
        peer=entry.peer,
        count=entry.count,
    )


def from_audit_entry(message: pb.AuditEntry) -> AuditEntry:
    """The entry that a server sent."""
    return AuditEntry(
        id=message.id,
        time=from_timestamp(message.time, "time"),
        principal=message.principal,
        method=message.method,
        target=message.target,
        outcome=message.outcome,
        peer=message.peer,
        count=message.count,
    )
