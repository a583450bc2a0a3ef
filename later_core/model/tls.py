"""How a connection is encrypted, as values: whose certificates, and where they are kept.

Each certificate and key is the path of a PEM file, or the PEM text itself: ``is_pem`` tells them
apart. Files may be renewed at any time; a text stays what it is.
"""

from __future__ import annotations

from dataclasses import dataclass, field


def is_pem(source: str) -> bool:
    """Whether this is PEM text and not the path of a file."""
    return source.lstrip().startswith("-----BEGIN ")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerTls:
    """What a server shows, and, for mutual TLS, which clients it lets in.

    ``cert`` holds the server's certificate and those between it and the root, in this order.
    With ``client_ca`` every client must show a certificate that one of these signed.
    """

    cert: str
    key: str = field(repr=False)
    client_ca: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientTls:
    """Which servers a client trusts, and what it shows them.

    Without ``ca`` the roots of this machine are trusted. ``server_name`` is the name that the
    server's certificate must have; by default the host of the address.
    """

    ca: str | None = None
    cert: str | None = None
    key: str | None = field(default=None, repr=False)
    server_name: str | None = None
