"""Whether the database's clock is the one of this machine, beyond doubt."""

from __future__ import annotations

import asyncio
import socket
import struct
import sys
from datetime import timedelta
from pathlib import Path

from later_core.ports.clock import Clock
from later_core.stores.mongo import database_time
from later_core.stores.mongo.connection import Connection

_MONGOD = "mongod"
_CONNECT_SECONDS = 1.0
#: ``struct ucred`` of unix(7): process, user and group.
_CREDENTIALS = struct.Struct("3i")
#: Dates of MongoDB are cut off to it.
_GRANULARITY = timedelta(milliseconds=1)


async def shares_clock(connection: Connection, clock: Clock) -> bool:
    """Whether the only server there is, is a mongod of this machine, reached by its own socket.

    All processes of a machine read one wall clock, so it need not be asked what its clock shows. That a
    socket is on this machine does not say so much: who listens at it may pass everything on to another
    one, as ``ssh -L`` does. The kernel knows which process listens (unix(7), SO_PEERCRED). And it
    must have answered with the time that it was here, lest either be run with a clock of its own.
    """
    servers = list(connection.client.delegate.topology_description.server_descriptions())
    if sys.platform != "linux" or len(servers) != 1 or servers[0][1] is not None:
        return False
    if await asyncio.to_thread(_listener, servers[0][0]) != _MONGOD:
        return False
    asked = clock.now()
    told = await database_time.now(connection, clock)
    return asked - _GRANULARITY < told <= clock.now()


def _listener(path: str) -> str | None:
    """The name of the program that listens at a socket; None where it cannot be seen."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.settimeout(_CONNECT_SECONDS)
            probe.connect(path)
            told = probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        process = _CREDENTIALS.unpack(told)[0]
        return Path(f"/proc/{process}/comm").read_text(encoding="utf-8").strip()
    except OSError:  # it is gone, or of another namespace of processes
        return None
