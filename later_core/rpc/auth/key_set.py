"""The public keys of whoever issues JWTs (JWKS, RFC 7517): from a file or a URL, read anew now and then."""

from __future__ import annotations

import asyncio
import json
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from later_core.errors import SettingInvalid
from later_core.ports.clock import Clock

log = structlog.get_logger(__name__)

#: How long keys are believed, in seconds: a key that its issuer took back is out after that.
_BELIEVED_SECONDS = 300.0
#: A key that nobody knows (a new one, or an invented one) is looked for at most this often.
_LOOK_SECONDS = 10.0
_FETCH_SECONDS = 5.0
_MAX_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Key:
    """A public key, and the one algorithm by which it signs, if its issuer says so."""

    public: Any
    algorithm: str | None


class KeySet:
    """Keys by their ids. While they cannot be read anew the known ones stay."""

    def __init__(self, source: str, *, clock: Clock) -> None:
        """Raises SettingInvalid: a URL that others could read along, or forge."""
        self._source = source
        self._is_url = _is_url(source)
        self._clock = clock
        self._keys: Mapping[str | None, Key] = {}
        self._read_at = float("-inf")
        self._turn = asyncio.Lock()

    async def key(self, id: str | None) -> Key | None:
        """The key of this id; None: there is none. Without an id: the only key there is."""
        age = self._clock.monotonic() - self._read_at
        if age > _BELIEVED_SECONDS or (age > _LOOK_SECONDS and self._find(id) is None):
            await self._read()
        return self._find(id)

    def _find(self, id: str | None) -> Key | None:
        if id is None:
            return next(iter(self._keys.values())) if len(self._keys) == 1 else None
        return self._keys.get(id)

    async def _read(self) -> None:
        before = self._read_at
        async with self._turn:
            if self._read_at != before:
                return  # somebody else has, while this waited for its turn
            try:
                text = await asyncio.to_thread(self._load)
                self._keys = _parsed(text)
            except (OSError, ValueError, TypeError) as error:
                log.warning("keys of jwts cannot be read", source=self._source, error=str(error))
            self._read_at = self._clock.monotonic()

    def _load(self) -> bytes:
        if not self._is_url:
            return Path(self._source).expanduser().read_bytes()
        with urllib.request.urlopen(self._source, timeout=_FETCH_SECONDS) as answer:  # noqa: S310 - no other scheme gets here
            data: bytes = answer.read(_MAX_BYTES + 1)
        if len(data) > _MAX_BYTES:
            raise ValueError("longer than 1 MiB")
        return data


def _is_url(source: str) -> bool:
    parts = urllib.parse.urlsplit(source)
    if parts.scheme == "https":
        return True
    if parts.scheme != "http":
        return False
    if parts.hostname not in {"127.0.0.1", "::1", "localhost"}:
        raise SettingInvalid(
            "jwt_keys", "whoever forges the answer of http:// forges callers: https://"
        )
    return True


def _parsed(text: bytes) -> Mapping[str | None, Key]:
    from jwt import PyJWK
    from jwt.exceptions import PyJWTError

    document = json.loads(text)
    entries = document.get("keys") if isinstance(document, dict) else None
    if entries is None:
        raise ValueError("not a JWKS: it has no keys")
    keys: dict[str | None, Key] = {}
    for entry in entries:
        # Shared secrets (kty oct) are no public keys, and those for encryption sign nothing.
        if not isinstance(entry, dict) or entry.get("kty") == "oct" or entry.get("use") == "enc":
            continue
        try:
            keys[entry.get("kid")] = Key(PyJWK(entry).key, entry.get("alg"))
        except PyJWTError as error:
            log.warning("a key of jwts cannot be used", kid=entry.get("kid"), error=str(error))
    return keys
