"""Parameters and results, encrypted where they stand in MongoDB, and read again.

A sealed value is a Binary of a subtype of its own, so that nothing that a client sends can be taken for one::

    version (1 byte), length of the key's name (1), key's name, salt (16), nonce (12), AES-256-GCM

Each process encrypts with data keys of its own, drawn from the master key by HKDF-SHA256 with a random
salt that stands beside the ciphertext. Nonces are random. NIST SP 800-38D allows 2**32 of those to a key: a
node that never rests would get there within days under the master key itself, so that a new data key is drawn
long before. What is authenticated along with a value is all that stands before the nonce, which field it is,
and the id of its record: a value that was moved elsewhere cannot be opened.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Sequence
from typing import TYPE_CHECKING

from bson.binary import Binary

from later_core.errors import EncryptionKeyMissing, SettingInvalid
from later_core.model.encryption_key import EncryptionKey

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

#: Of a Binary; those from 128 are free for users.
SEALED = 0x8E
_VERSION = 1
_SALT_BYTES = 16
_NONCE_BYTES = 12
_TAG_BYTES = 16
_INFO = b"later at rest 1: AES-256-GCM"
_MARK_INFO = b"later at rest 1: marks"

#: After so many values a new data key: two equal nonces under one key are less likely than 2**-41.
_VALUES_PER_DATA_KEY = 2**28
#: How many records are remembered whose key is missing: each is told of once.
_TOLD_KEPT = 10_000
#: Data keys of others that are remembered; drawing one costs about as much as opening ten values.
_DATA_KEYS_KEPT = 1024


class KeyRing:
    """The first key encrypts, all of them decrypt. Without keys everything is stored as it is.

    Raises:
        SettingInvalid: there are keys and the library is not installed.

    """

    def __init__(self, keys: Sequence[EncryptionKey] = ()) -> None:
        self._by_name = {key.name: key for key in keys}
        self._newest = keys[0] if keys else None
        #: Keys the digest of an ending, which would else let results be guessed. Empty: it is not keyed.
        self.mark_key = b""
        self._opening: OrderedDict[bytes, AESGCM] = OrderedDict()
        self._told: set[str] = set()
        self._header = b""
        self._left = 0
        if self._newest is not None:
            try:
                self.mark_key = _derived(self._newest, b"", _MARK_INFO)
            except ImportError:
                raise SettingInvalid(
                    "encryption_keys", "encryption needs pip install 'later-core[encryption]'"
                ) from None

    @property
    def newest(self) -> str | None:
        """The name of the key that encrypts; None: nothing is encrypted."""
        return None if self._newest is None else self._newest.name

    @property
    def names(self) -> Sequence[str]:
        """The names of all keys, that of the newest first."""
        return list(self._by_name)

    def should_tell(self, record: str) -> bool:
        """Whether nobody has been told yet that the key of this record is missing."""
        is_first = record not in self._told
        if is_first and len(self._told) < _TOLD_KEPT:
            self._told.add(record)
        return is_first

    def seal(self, value: bytes, *, record: str, field: str) -> bytes:
        """The value as it stands in the record; itself, where there are no keys."""
        if self._newest is None:
            return value
        if not self._left:
            self._header = _header(self._newest.name, os.urandom(_SALT_BYTES))
            self._left = _VALUES_PER_DATA_KEY
        self._left -= 1
        nonce = os.urandom(_NONCE_BYTES)
        sealed = self._cipher(self._header, record).encrypt(
            nonce, value, _context(self._header, record, field)
        )
        return Binary(self._header + nonce + sealed, SEALED)

    def open(self, value: bytes, *, record: str, field: str) -> bytes:
        """The value of a field as it stands in the record, sealed or not.

        Raises:
            EncryptionKeyMissing: it is sealed with a key that is not here.
            ValueError: it is sealed and was changed, or belongs to another record or field.

        """
        if value.__class__ is bytes:
            return value
        if not isinstance(value, Binary) or value.subtype != SEALED:
            raise TypeError(f"bytes expected, found {value.__class__.__name__}")
        data = bytes(value)
        end = 2 + data[1] + _SALT_BYTES if len(data) > 1 else 0
        if len(data) < end + _NONCE_BYTES + _TAG_BYTES or data[0] != _VERSION:
            raise ValueError("not an encrypted value that this version can read")
        header, nonce = data[:end], data[end : end + _NONCE_BYTES]
        cipher = self._cipher(header, record)
        from cryptography.exceptions import InvalidTag

        try:
            return cipher.decrypt(
                nonce, data[end + _NONCE_BYTES :], _context(header, record, field)
            )
        except InvalidTag:
            raise ValueError(
                f"the encrypted {field} cannot be opened: it was changed, or comes from another record"
            ) from None

    def _cipher(self, header: bytes, record: str) -> AESGCM:
        """The data key of such values, remembered for the next one."""
        cipher = self._opening.get(header)
        if cipher is not None:
            self._opening.move_to_end(header)
            return cipher
        name = header[2:-_SALT_BYTES].decode(errors="replace")
        key = self._by_name.get(name)
        if key is None:
            raise EncryptionKeyMissing(record, name)
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        cipher = AESGCM(_derived(key, header[-_SALT_BYTES:], _INFO))
        self._opening[header] = cipher
        if len(self._opening) > _DATA_KEYS_KEPT:
            self._opening.popitem(last=False)
        return cipher


#: Stores everything as it is, and opens nothing that is sealed.
NO_KEYS = KeyRing()


def key_of(value: object) -> str | None:
    """The name of the key with which a stored value is sealed; None: it is not."""
    if not isinstance(value, Binary) or value.subtype != SEALED or len(value) < 2:
        return None
    return bytes(value[2 : 2 + value[1]]).decode(errors="replace")


def _header(name: str, salt: bytes) -> bytes:
    return bytes([_VERSION, len(name)]) + name.encode() + salt


def _context(header: bytes, record: str, field: str) -> bytes:
    # No field has a zero byte, so that no two pairs are written alike.
    return b"\0".join((header, field.encode(), record.encode()))


def _derived(key: EncryptionKey, salt: bytes, info: bytes) -> bytes:
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return HKDF(algorithm=SHA256(), length=32, salt=salt, info=info).derive(key.secret)
