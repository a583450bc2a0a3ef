"""What an address says: which servers it names, and who can reach what listens there."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

#: In front of a name: every server that the name's DNS records list, in turn.
ALL_OF_A_NAME = "dns:"


def servers(address: str) -> Sequence[str]:
    """Each ``host:port`` that an address names, several of them with commas between."""
    return [each.strip() for each in address.removeprefix(ALL_OF_A_NAME).split(",")]


def is_shared(address: str) -> bool:
    """Whether several servers may stand behind it, among which calls are shared out."""
    return "," in address or address.startswith(ALL_OF_A_NAME)


def one_family(addresses: Sequence[str]) -> str | None:
    """``ipv4`` or ``ipv6`` where every ``host:port`` is an IP address of that kind, else None."""
    try:
        found = {ipaddress.ip_address(_host(each)).version for each in addresses}
    except ValueError:
        return None
    return f"ipv{found.pop()}" if len(found) == 1 else None


def is_private(address: str) -> bool:
    """Whether only this machine can reach what listens here: a Unix socket, or the loopback."""
    return address.startswith("unix") or all(map(_is_loopback, servers(address)))


def _is_loopback(server: str) -> bool:
    host = _host(server)
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost"
    # ``::ffff:127.0.0.1``: Python 3.12 and older do not look inside.
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


def _host(server: str) -> str:
    return server.rpartition(":")[0].strip("[]")
