"""Whether an address can be listened on, asked before anything else is begun."""

from __future__ import annotations

import socket
from typing import Any

from later_core.errors import ListenFailed


def check_free(listen: str) -> None:
    """Make sure that one of the addresses behind ``listen`` can be bound: gRPC, where it cannot, prints
    lines of its own to stderr.

    Raises:
        ListenFailed: it is taken, or none of this machine.
    """
    if not listen.startswith("unix") and not _is_free(listen):
        raise ListenFailed(listen)


def _is_free(listen: str) -> bool:
    host, _, port = listen.rpartition(":")
    try:
        found = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)
    except (OSError, ValueError):
        return False
    return any(_can_bind(family, address) for family, *_, address in found)


def _can_bind(family: socket.AddressFamily, address: tuple[Any, ...]) -> bool:
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError:
        return False
    return True
