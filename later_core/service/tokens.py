"""Tokens: made, listed, revoked, and told from what is none."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Self

from later_core.errors import TokenNotFound, Unauthenticated
from later_core.local.caller import caller
from later_core.local.database_clock import DatabaseClock
from later_core.local.grouping import Group
from later_core.model.instant import from_millis
from later_core.model.permission import Role
from later_core.model.principal import Credential, Means, Principal, of_roles
from later_core.model.token import NewToken, Token, hash_of, id_in, new_secret
from later_core.ports.store import Store

#: The name of whoever comes with the secret of the setting ``admin_token``.
ADMIN_TOKEN_NAME = "admin-token"  # noqa: S105 - a name, not a secret

_ADMIN_TOKEN = Credential(means=Means.ADMIN_TOKEN)


class Tokens:
    """One object for all requests.

    ``admin_secret``: one more secret, which no database holds; it has the role admin. The first token is
    made with it.
    """

    def __init__(
        self, *, store: Store, database_clock: DatabaseClock, admin_secret: str | None = None
    ) -> None:
        self._store = store
        self._database_clock = database_clock
        self._admin_hash = hash_of(admin_secret) if admin_secret else None
        # Many callers that come at once are looked up together.
        self._lookups: Group[str, Token | None] = Group(store.get_tokens, limit=500, in_flight=2)

    async def __aenter__(self) -> Self:
        await self._lookups.__aenter__()
        return self

    async def __aexit__(self, *failure: object) -> None:
        await self._lookups.__aexit__(*failure)

    async def create(self, new: NewToken, *, lifetime: timedelta | None) -> tuple[Token, str]:
        """A token, stored, and its secret, which is stored nowhere.

        Raises:
            StoreUnavailable.
        """
        id, secret = new_secret()
        now = from_millis(int(self._database_clock.now_ms()))
        token = Token(
            id=id,
            name=new.name,
            roles=new.roles,
            tasks=new.tasks,
            labels=new.labels,
            permissions=new.permissions,
            principal=caller().name,
            create_time=now,
            expire_time=None if lifetime is None else now + lifetime,
            quota=new.quota,
            secret_hash=hash_of(secret),
        )
        if isinstance(new.quota.max_pending, int):
            await self._store.prepare_pending_counts()
        await self._store.insert_token(token)
        return _shown(token), secret

    async def list(self, *, after: str | None, limit: int) -> tuple[Sequence[Token], str | None]:
        """A page in order of id, and the id behind which the next one begins (None: there is none).

        Raises:
            StoreUnavailable.
        """
        found = await self._store.list_tokens(after=after, limit=limit + 1)
        page = [_shown(token) for token in found[:limit]]
        return page, page[-1].id if len(found) > limit else None

    async def revoke(self, id: str) -> Token:
        """Make a token worthless; again: as it was revoked first.

        Raises:
            TokenNotFound, StoreUnavailable.
        """
        now = from_millis(int(self._database_clock.now_ms()))
        token = await self._store.revoke_token(id, now)
        if token is None:
            raise TokenNotFound(id)
        return _shown(token)

    async def authenticate(self, secret: str) -> Principal:
        """Whose secret this is, as the database knows it now.

        Raises:
            Unauthenticated: nobody's, or no longer.
            StoreUnavailable: nobody is let in unseen.
        """
        if self._admin_hash and hmac.compare_digest(hash_of(secret), self._admin_hash):
            return of_roles(ADMIN_TOKEN_NAME, [Role.ADMIN], credential=_ADMIN_TOKEN)
        id = id_in(secret)
        if id is None:
            raise Unauthenticated("not a token of Later", has_credentials=True)
        token = await self._lookups.submit(id)
        if token is None or not token.is_of(secret):
            raise Unauthenticated(f"no token {id} with this secret", has_credentials=True)
        if not token.is_valid(self._database_clock.now()):
            raise Unauthenticated(f"token {id} is expired or revoked", has_credentials=True)
        return token.to_principal()


def _shown(token: Token) -> Token:
    """Without the hash, which is nobody's business."""
    return replace(token, secret_hash=b"")
