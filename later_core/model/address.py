"""What an address says about who can reach it."""

from __future__ import annotations

import ipaddress


def is_private(listen: str) -> bool:
    """Whether only this machine can reach what listens here: a Unix socket, or the loopback."""
    if listen.startswith("unix"):
        return True
    host = listen.rpartition(":")[0].strip("[]")
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost"
    # ``::ffff:127.0.0.1``: Python 3.12 and older do not look inside.
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback
