"""A token: what stands between a secret that somebody holds and what it lets them do."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from later_core.model.instance import NO_LABELS
from later_core.model.permission import Role
from later_core.model.principal import Credential, Means, Principal, of_roles
from later_core.model.quota import AS_SET, Quota
from later_core.model.scope import Scope

#: Begins every token, so that whoever scans for leaked secrets knows one.
PREFIX = "later_"
_SECRET = re.compile(r"later_(?P<id>[0-9a-f]{16})_[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A token as it is stored: never its secret, only the SHA-256 of that. All instants are UTC.

    ``tasks`` and ``labels`` confine it (``Scope``); ``permissions`` are those of tasks.
    ``principal``: who created it. Without ``expire_time`` it is valid until it is revoked.
    """

    id: str
    name: str
    roles: tuple[Role, ...]
    create_time: datetime
    tasks: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=lambda: NO_LABELS)
    permissions: tuple[str, ...] = ()
    principal: str = ""
    expire_time: datetime | None = None
    revoke_time: datetime | None = None
    quota: Quota = AS_SET
    secret_hash: bytes = b""

    def is_valid(self, now: datetime) -> bool:
        """Whether it is neither revoked nor expired at this instant of the database's clock."""
        return self.revoke_time is None and (self.expire_time is None or now < self.expire_time)

    def is_of(self, secret: str) -> bool:
        """Whether this is the secret; takes the same time wherever the two differ."""
        return hmac.compare_digest(hash_of(secret), self.secret_hash)

    def to_principal(self) -> Principal:
        """Who its holder is."""
        return of_roles(
            self.name,
            self.roles,
            grants=self.permissions,
            scope=Scope(tasks=self.tasks, labels=self.labels),
            quota=None if self.quota == AS_SET else self.quota,
            credential=Credential(
                means=Means.TOKEN, token_id=self.id, expire_time=self.expire_time
            ),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class NewToken:
    """What is asked of a token."""

    name: str
    roles: tuple[Role, ...]
    tasks: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=lambda: NO_LABELS)
    permissions: tuple[str, ...] = ()
    expire_time: datetime | None = None
    quota: Quota = AS_SET


def new_secret() -> tuple[str, str]:
    """An id and a whole secret with it: ``later_``, the id, and 256 bits of the system's randomness.

    A fast hash is enough for a secret that nobody can guess; slow ones are for what people choose.
    """
    id = secrets.token_hex(8)
    return id, f"{PREFIX}{id}_{secrets.token_hex(32)}"


def id_in(secret: str) -> str | None:
    """The id of the token that a secret belongs to; None: it is no token of ours."""
    found = _SECRET.fullmatch(secret)
    return found["id"] if found else None


def hash_of(secret: str) -> bytes:
    """What is stored of a secret."""
    return hashlib.sha256(secret.encode()).digest()
