"""Tokens and the audit log: values <-> protobuf, both ways (the client uses it too)."""

from __future__ import annotations

from later_core.model.audit import AuditEntry, AuditFilter
from later_core.model.instance import NO_LABELS
from later_core.model.permission import Role
from later_core.model.token import NewToken, Token
from later_core.rpc.times import from_timestamp, to_timestamp
from later_core.rpc.v1 import later_pb2 as pb

_TO_ROLE: dict[Role, pb.Role.ValueType] = {
    role: pb.Role.Value(f"ROLE_{role.name}") for role in Role
}
_FROM_ROLE: dict[int, Role] = {number: role for role, number in _TO_ROLE.items()}


def to_new_token(new: NewToken) -> pb.CreateTokenRequest:
    """The request that asks for this token."""
    return pb.CreateTokenRequest(
        name=new.name,
        roles=[_TO_ROLE[role] for role in new.roles],
        tasks=new.tasks,
        labels=dict(new.labels),
        permissions=new.permissions,
    )


def from_new_token(message: pb.CreateTokenRequest) -> NewToken:
    """What a request asks of a token, its lifetime aside."""
    return NewToken(
        name=message.name,
        roles=tuple(_FROM_ROLE[number] for number in message.roles),
        tasks=tuple(message.tasks),
        labels=dict(message.labels) if message.labels else NO_LABELS,
        permissions=tuple(message.permissions),
    )


def to_token(token: Token) -> pb.Token:
    """A token on the wire."""
    message = pb.Token(
        id=token.id,
        name=token.name,
        roles=[_TO_ROLE[role] for role in token.roles],
        tasks=token.tasks,
        labels=dict(token.labels),
        permissions=token.permissions,
        create_time=to_timestamp(token.create_time),
        principal=token.principal,
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
        roles=tuple(_FROM_ROLE[number] for number in message.roles),
        tasks=tuple(message.tasks),
        labels=dict(message.labels) if message.labels else NO_LABELS,
        permissions=tuple(message.permissions),
        principal=message.principal,
        create_time=from_timestamp(message.create_time, "create_time"),
        expire_time=(
            from_timestamp(message.expire_time, "expire_time") if has("expire_time") else None
        ),
        revoke_time=(
            from_timestamp(message.revoke_time, "revoke_time") if has("revoke_time") else None
        ),
    )


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
