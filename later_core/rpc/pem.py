"""Certificates and keys in PEM: read from a file or a text, checked, and watched for renewal."""

from __future__ import annotations

import os
import ssl
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from later_core.errors import CertificateUnusable
from later_core.model.tls import is_pem

_CERTIFICATE = b"-----BEGIN CERTIFICATE-----"
_KEY = b"PRIVATE KEY-----"
#: The two ways in which a key says that it is of no use without a passphrase.
_ENCRYPTED = (b"-----BEGIN ENCRYPTED PRIVATE KEY-----", b"Proc-Type: 4,ENCRYPTED")


def read_certificate(setting: str, source: str) -> bytes:
    """The certificates of a file or text; ``setting`` is its name, for the complaint.

    Raises:
        CertificateUnusable.

    """
    pem = _read(setting, source)
    if _CERTIFICATE not in pem:
        raise CertificateUnusable(
            setting, f"there is no certificate in PEM form in {_place(source)}"
        )
    return pem


def read_key(setting: str, source: str) -> bytes:
    """The private key of a file or text.

    Raises:
        CertificateUnusable.

    """
    pem = _read(setting, source)
    if _KEY not in pem:
        raise CertificateUnusable(
            setting, f"there is no private key in PEM form in {_place(source)}"
        )
    if any(mark in pem for mark in _ENCRYPTED):
        raise CertificateUnusable(
            setting, "the key is locked by a passphrase, and a server has nobody to ask; unlock it"
        )
    return pem


def check_pair(setting: str, certificate: bytes, key: bytes) -> None:
    """Whether a certificate and a key can be used, and belong together.

    Raises:
        CertificateUnusable.

    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with _as_file(certificate + b"\n" + key) as path:
        try:
            context.load_cert_chain(path)
        except ssl.SSLError as error:
            if error.reason == "KEY_VALUES_MISMATCH":
                complaint = "the certificate and the key do not belong together"
            else:
                complaint = f"the certificate or its key is damaged ({error.reason or error})"
            raise CertificateUnusable(setting, complaint) from None


def check_roots(setting: str, roots: bytes) -> None:
    """Whether these can be trusted as roots: whether they are certificates at all.

    Raises:
        CertificateUnusable.

    """
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=roots.decode())
    except (ssl.SSLError, UnicodeDecodeError) as error:
        reason = getattr(error, "reason", "") or "not text"
        raise CertificateUnusable(setting, f"a certificate is damaged ({reason})") from None


class Renewals:
    """Notices that files have been written anew, or that a link points elsewhere."""

    def __init__(self, sources: Sequence[str]) -> None:
        self._paths = [_path(source) for source in sources if not is_pem(source)]
        self._seen = self._marks()

    def were_there(self) -> bool:
        """Whether a file has changed since this was asked last, or since the beginning."""
        marks = self._marks()
        changed, self._seen = marks != self._seen, marks
        return changed

    def _marks(self) -> Sequence[tuple[int, ...]]:
        return [_mark(path) for path in self._paths]


def _mark(path: Path) -> tuple[int, ...]:
    try:
        found = path.stat()
    except OSError:
        return ()
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def _read(setting: str, source: str) -> bytes:
    if is_pem(source):
        return source.encode()
    try:
        return _path(source).read_bytes()
    except OSError as error:
        raise CertificateUnusable(
            setting, f"cannot read {_path(source)}: {error.strerror}"
        ) from None


def _path(source: str) -> Path:
    return Path(source).expanduser()


def _place(source: str) -> str:
    return "the text" if is_pem(source) else str(_path(source))


@contextmanager
def _as_file(pem: bytes) -> Iterator[str]:
    """A path for what OpenSSL reads from files only; on Linux one in memory, since keys are secret."""
    with _secret_file() as file:
        file.write(pem)
        file.flush()
        yield f"/proc/self/fd/{file.fileno()}" if isinstance(file.name, int) else file.name


def _secret_file() -> IO[bytes]:
    if hasattr(os, "memfd_create") and Path("/proc/self/fd").is_dir():
        return os.fdopen(os.memfd_create("pem"), "wb")
    return tempfile.NamedTemporaryFile()
