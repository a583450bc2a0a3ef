"""How a caller stands: values <-> protobuf, both ways (the client uses it too)."""

from __future__ import annotations

from later_core.model.instance import NO_LABELS
from later_core.model.permission import Permission
from later_core.model.principal import Credential, Means, Principal
from later_core.model.quota import NONE
from later_core.model.rate import parse_rate
from later_core.model.scope import EVERYTHING, Scope
from later_core.model.standing import Standing
from later_core.rpc.convert_access import FROM_ROLE, NO_BOUND, TO_ROLE
from later_core.rpc.times import from_timestamp, to_timestamp
from later_core.rpc.v1 import later_pb2 as pb

_TO_MEANS: dict[Means, pb.Means.ValueType] = {
    means: pb.Means.Value(f"MEANS_{means.name}") for means in Means
}
_FROM_MEANS: dict[int, Means] = {number: means for means, number in _TO_MEANS.items()}


def to_standing(standing: Standing) -> pb.WhoAmIResponse:
    """A standing on the wire."""
    who = standing.principal
    message = pb.WhoAmIResponse(
        principal=who.name,
        means=_TO_MEANS[who.credential.means],
        token_id=who.credential.token_id,
        roles=sorted(TO_ROLE[role] for role in who.roles),
        permissions=sorted(who.permissions.union(Permission) if who.may_all else who.permissions),
        tasks=who.scope.tasks,
        labels=dict(who.scope.labels),
        create_rate=NONE if standing.create_rate is None else str(standing.create_rate),
        max_pending=NO_BOUND if standing.max_pending is None else standing.max_pending,
    )
    if who.credential.expire_time is not None:
        message.expire_time.CopyFrom(to_timestamp(who.credential.expire_time))
    return message


def from_standing(message: pb.WhoAmIResponse) -> Standing:
    """How a server says that its caller stands."""
    scope = Scope(
        tasks=tuple(message.tasks), labels=dict(message.labels) if message.labels else NO_LABELS
    )
    means = _FROM_MEANS[message.means]
    rate, most = message.create_rate, message.max_pending
    return Standing(
        principal=Principal(
            name=message.principal,
            permissions=frozenset(message.permissions),
            scope=EVERYTHING if scope.is_everything else scope,
            may_all=means is Means.NONE,
            roles=tuple(FROM_ROLE[number] for number in message.roles),
            credential=Credential(
                means=means,
                token_id=message.token_id,
                expire_time=(
                    from_timestamp(message.expire_time, "expire_time")
                    if message.HasField("expire_time")
                    else None
                ),
            ),
        ),
        create_rate=None if rate == NONE else parse_rate(rate),
        max_pending=None if most == NO_BOUND else most,
    )
