"""A key with which parameters and results are encrypted at rest, and how keys are written."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field

#: AES-256.
SECRET_BYTES = 32
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}")
_WRITTEN = re.compile(r"\s*[A-Za-z0-9._-]+:[A-Za-z0-9+/_=-]{40,}")


@dataclass(frozen=True, slots=True, kw_only=True)
class EncryptionKey:
    """A secret of 32 random bytes under an id that people know it by."""

    id: str
    secret: bytes = field(repr=False)

    @property
    def name(self) -> str:
        """What is encrypted with it names it so: the id, and a digest that another secret does not have."""
        return f"{self.id}-{hashlib.blake2b(b'name', key=self.secret, digest_size=4).hexdigest()}"


def are_keys(text: str) -> bool:
    """Whether this is the text of keys and not the path of a file."""
    return _WRITTEN.match(text) is not None


def new_key(id: str) -> str:
    """A new key as it is written: ``id:`` and 32 random bytes in base64.

    Raises:
        ValueError: the id is not one.

    """
    _check_id(id)
    return f"{id}:{base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()}"


def parse_keys(text: str) -> Sequence[EncryptionKey]:
    """The keys of a text: one a line or separated by spaces; what follows a ``#`` is a remark.

    Raises:
        ValueError: says which key is wrong and how; repeats nothing of a secret.

    """
    words = [word for line in text.splitlines() for word in line.partition("#")[0].split()]
    keys: dict[str, EncryptionKey] = {}
    for number, word in enumerate(words, start=1):
        id, colon, secret = word.partition(":")
        if not colon:
            raise ValueError(f"key {number} is not written as id:base64")
        _check_id(id)
        if id in keys:
            raise ValueError(f"two keys have the id {id!r}; give the newer one another id")
        keys[id] = EncryptionKey(id=id, secret=_decoded(id, secret))
    if not keys:
        raise ValueError("no key in it; later new-key makes one")
    return list(keys.values())


def _check_id(id: str) -> None:
    if not _ID.fullmatch(id):
        raise ValueError(
            f"{id[:40]!r} cannot be the id of a key: 1 to 32 letters, digits, dots, dashes"
        )


def _decoded(id: str, secret: str) -> bytes:
    try:
        data = base64.b64decode(secret.translate(str.maketrans("-_", "+/")), validate=True)
    except binascii.Error:
        raise ValueError(f"the secret of key {id!r} is not base64") from None
    if len(data) != SECRET_BYTES:
        raise ValueError(
            f"the secret of key {id!r} has {len(data)} bytes; it must have {SECRET_BYTES}"
        )
    return data
