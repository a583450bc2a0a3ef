"""One port for several processes: first made sure of, then held while they share it."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from later_core.errors import ListenFailed

_Found = tuple[socket.AddressFamily, tuple[Any, ...]]


@contextmanager
def held(listen: str) -> Iterator[str]:
    """Hold the port for the length of the block, so that no stranger can have it; answer host:port.

    Processes of this user that set SO_REUSEPORT can listen on it. Nothing arrives here: the sockets
    that hold it do not listen. Port 0 becomes one that is free.

    Raises:
        ListenFailed: the port is taken, or the host is none of this machine.
    """
    host, _, port = listen.rpartition(":")
    with ExitStack() as stack:
        try:
            family, address = _find(host, int(port))
            # Without SO_REUSEPORT first: with it, one that others share already would be shared silently.
            with socket.socket(family, socket.SOCK_STREAM) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(address)
                address = (address[0], probe.getsockname()[1], *address[2:])
            stack.enter_context(_hold(family, address))
        except OSError:
            raise ListenFailed(listen) from None
        yield f"{host}:{address[1]}"


def _find(host: str, port: int) -> _Found:
    found = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)
    family, *_, address = found[0]
    return family, address


def _hold(family: socket.AddressFamily, address: tuple[Any, ...]) -> socket.socket:
    """A socket that has the address and does not listen.

    Not with SO_REUSEADDR, if it can be: another one that makes sure of the port would not meet it.
    It cannot where connections of a server before this one have not quite ended.
    """
    try:
        return _bound(family, address, socket.SO_REUSEPORT)
    except OSError:
        return _bound(family, address, socket.SO_REUSEPORT, socket.SO_REUSEADDR)


def _bound(family: socket.AddressFamily, address: tuple[Any, ...], *options: int) -> socket.socket:
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        for option in options:
            bound.setsockopt(socket.SOL_SOCKET, option, 1)
        bound.bind(address)
    except BaseException:
        bound.close()
        raise
    return bound
