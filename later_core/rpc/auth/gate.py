"""Lets a call in, or does not: who asks, by what the call carries, and whether they may.

What a credential was found to be holds for a few seconds, so that a busy caller costs a lookup now and
then, and a revoked one is out soon.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import structlog

from later_core.errors import PermissionDenied, Unauthenticated
from later_core.model.principal import ANYONE, Principal
from later_core.ports.clock import Clock
from later_core.rpc.auth.methods import METHODS, UNKNOWN, Rule

log = structlog.get_logger(__name__)

_Context = Any  # grpc.aio.ServicerContext

#: How long a finding holds, in seconds: a revoked token is out on every node after this at the latest.
FINDING_SECONDS = 3.0
#: Findings remembered at a time; beyond that the oldest goes.
_FINDINGS_MAX = 4096

_SCHEME = "bearer "


class Verifier(Protocol):
    """Tells whose a bearer's secret is."""

    async def authenticate(self, secret: str) -> Principal:
        """Whose it is.

        Raises:
            Unauthenticated: nobody's.
            StoreUnavailable: it cannot be told now.
        """
        ...


class Certificates(Protocol):
    """Tells whose a client certificate is, which TLS has already verified."""

    def principal(self, context: Mapping[str, Sequence[bytes]]) -> Principal | None:
        """Whose it is; None: nobody showed one, or it is not one of those that are let in."""
        ...


class Gate:
    """``tokens`` verifies what begins with ``later_`` and whatever is no JWT, ``jwts`` the rest.

    A call that carries a bearer's secret is judged by that alone, whatever certificate it came with.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        tokens: Verifier | None = None,
        jwts: Verifier | None = None,
        certificates: Certificates | None = None,
        methods: Mapping[str, Rule] = METHODS,
    ) -> None:
        self._clock = clock
        self._tokens = tokens
        self._jwts = jwts
        self._certificates = certificates
        self._methods = methods
        #: By the hash of the secret: whose it is (None: nobody's), and until when that holds.
        self._findings: OrderedDict[bytes, tuple[Principal | None, float]] = OrderedDict()

    async def admit(self, method: str, context: _Context) -> Principal:
        """Who asks, if they may call this method (``/service/Method``).

        Raises:
            Unauthenticated, PermissionDenied, StoreUnavailable.
        """
        rule = self._methods.get(method)
        if rule is not None and rule.is_for_strangers:
            return ANYONE
        principal = await self._authenticate(context)
        if rule is None:
            raise PermissionDenied(principal.name, UNKNOWN)
        if rule.permission is not None and not principal.may(rule.permission):
            raise PermissionDenied(principal.name, f"the permission {rule.permission}")
        return principal

    async def _authenticate(self, context: _Context) -> Principal:
        for key, value in context.invocation_metadata() or ():
            if key == "authorization":
                return await self._bearer(value)
        if self._certificates is not None:
            found = self._certificates.principal(context.auth_context())
            if found is not None:
                return found
        raise Unauthenticated("no credentials")

    async def _bearer(self, value: str | bytes) -> Principal:
        if not isinstance(value, str) or not value[: len(_SCHEME)].lower() == _SCHEME:
            raise Unauthenticated("authorization is not a bearer's", has_credentials=True)
        secret = value[len(_SCHEME) :].strip()
        key = hashlib.sha256(secret.encode()).digest()
        found = self._findings.get(key)
        now = self._clock.monotonic()
        if found is None or found[1] <= now:
            found = (await self._verify(secret), now + FINDING_SECONDS)
            self._findings.pop(key, None)
            while len(self._findings) >= _FINDINGS_MAX:
                self._findings.popitem(last=False)
            self._findings[key] = found
        if found[0] is None:
            raise Unauthenticated("a bearer's secret is nobody's", has_credentials=True)
        return found[0]

    async def _verify(self, secret: str) -> Principal | None:
        is_jwt = secret.count(".") == 2
        verifier = self._jwts if is_jwt else self._tokens
        if verifier is None:
            return None
        try:
            return await verifier.authenticate(secret)
        except Unauthenticated as error:
            log.info("credentials refused", detail=error.detail)
            return None
