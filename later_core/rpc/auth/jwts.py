"""From a JWT (RFC 7519, as OpenID Connect has it) to a principal. PyJWT does the cryptography."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from later_core.errors import Misconfigured, Unauthenticated
from later_core.model.binding import Binding, bind
from later_core.model.principal import Credential, Means, Principal
from later_core.ports.clock import Clock
from later_core.rpc.auth.claims import claim, scope_in, words_in
from later_core.rpc.auth.key_set import KeySet

#: How far the clocks of issuer and server may differ, in seconds.
_LEEWAY_SECONDS = 30
_NAME_MAX_LENGTH = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What a JWT must say, and what its claims mean."""

    issuer: str
    audience: str
    algorithms: Sequence[str]
    principal_claim: str
    roles_claim: str
    bindings: Sequence[Binding]
    #: None: nobody is confined by a claim.
    tasks_claim: str | None = None
    labels_claim: str | None = None


class Jwts:
    """Takes a JWT of the one issuer, for the one audience, signed with one of its keys by one of the
    expected algorithms, and not expired. An expiry is required.
    """

    def __init__(self, *, keys: str, expected: Expected, clock: Clock) -> None:
        """Raises Misconfigured: PyJWT is not installed, or the keys come from nowhere safe."""
        try:
            import jwt
            import jwt.algorithms
        except ImportError:
            raise Misconfigured("auth=jwt needs PyJWT: pip install 'later-core[jwt]'") from None
        if not jwt.algorithms.has_crypto:
            raise Misconfigured("auth=jwt needs cryptography: pip install 'later-core[jwt]'")
        self._jwt = jwt
        self._keys = KeySet(keys, clock=clock)
        self._expected = expected

    async def authenticate(self, secret: str) -> Principal:
        """Whose JWT this is.

        Raises:
            Unauthenticated: it does not hold, or gives its holder nothing here.
        """
        try:
            header = self._jwt.get_unverified_header(secret)
            key = await self._keys.key(header.get("kid"))
            if key is None:
                raise _refused("no key of this kid")
            if key.algorithm is not None and key.algorithm != header.get("alg"):
                raise _refused("not the algorithm of its key")
            claims = self._jwt.decode(
                secret,
                key.public,
                algorithms=list(self._expected.algorithms),
                audience=self._expected.audience,
                issuer=self._expected.issuer,
                leeway=_LEEWAY_SECONDS,
                options={"require": ["exp", "iss", "aud"]},
            )
        except (self._jwt.PyJWTError, TypeError, ValueError) as error:
            raise _refused(f"{type(error).__name__}: {error}") from None
        return self._principal(claims)

    def _principal(self, claims: Mapping[str, Any]) -> Principal:
        name = claim(claims, self._expected.principal_claim)
        if not isinstance(name, str) or not name or len(name) > _NAME_MAX_LENGTH:
            raise _refused(f"no claim {self._expected.principal_claim} that names anybody")
        roles = words_in(claim(claims, self._expected.roles_claim))
        try:
            scope = scope_in(
                claims, tasks=self._expected.tasks_claim, labels=self._expected.labels_claim
            )
        except ValueError as error:
            raise _refused(f"{name}: {error}") from None
        principal = bind(
            name,
            [role for role in roles if isinstance(role, str)],
            self._expected.bindings,
            Credential(means=Means.JWT, expire_time=_expiry(claims)),
            scope,
        )
        if principal is None:
            raise _refused(
                f"{name} has no role here, or is confined in two ways that do not go together"
            )
        return principal


def _expiry(claims: Mapping[str, Any]) -> datetime | None:
    """When it expires; None where that is after the last instant that there is."""
    try:
        return datetime.fromtimestamp(int(claims["exp"]), UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _refused(detail: str) -> Unauthenticated:
    return Unauthenticated(f"jwt: {detail}", has_credentials=True)
