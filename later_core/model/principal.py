"""Who asks: the name under which a caller is known, and what it may do."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from later_core.model.permission import ROLE_PERMISSIONS, UNCONFINED_ONLY, Role
from later_core.model.quota import Quota
from later_core.model.scope import EVERYTHING, Scope


class Means(StrEnum):
    """How a caller said who it is."""

    NONE = "none"
    TOKEN = "token"  # noqa: S105 - a word, not a secret
    ADMIN_TOKEN = "admin-token"  # noqa: S105 - a word, not a secret
    CERTIFICATE = "certificate"
    JWT = "jwt"


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """What a caller showed. ``token_id``: of a token that was made; without ``expire_time`` (UTC) it does
    not expire, or the server is not told when.
    """

    means: Means
    token_id: str = ""
    expire_time: datetime | None = None


NOTHING_SHOWN = Credential(means=Means.NONE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """An authenticated caller. ``name`` is recorded on what it creates, and in the audit log.

    ``permissions`` holds names of ``Permission`` and of tasks' own permissions. ``may_all``: it has
    every permission there is; so has whoever asks where nobody is authenticated.
    """

    name: str
    permissions: frozenset[str] = frozenset()
    scope: Scope = EVERYTHING
    may_all: bool = False
    #: What its token says of how much it may take; None: nothing.
    quota: Quota | None = None
    #: From which its permissions come.
    roles: tuple[Role, ...] = ()
    credential: Credential = NOTHING_SHOWN

    def may(self, permission: str) -> bool:
        """Whether it has this permission."""
        return self.may_all or permission in self.permissions


#: Whoever asks where nobody is authenticated: it has no name, and may do everything.
ANYONE = Principal(name="", may_all=True)


def of_roles(
    name: str,
    roles: Iterable[Role],
    *,
    grants: Iterable[str] = (),
    scope: Scope = EVERYTHING,
    quota: Quota | None = None,
    credential: Credential = NOTHING_SHOWN,
) -> Principal:
    """A principal with these roles, and the permissions of tasks that it was granted."""
    permissions: set[str] = set(grants)
    held = tuple(roles)
    for role in held:
        permissions |= ROLE_PERMISSIONS[role]
    if scope.is_everything:
        scope = EVERYTHING  # the very one, which is told at a glance
    else:
        permissions -= UNCONFINED_ONLY
    return Principal(
        name=name,
        permissions=frozenset(permissions),
        scope=scope,
        quota=quota,
        roles=held,
        credential=credential,
    )
