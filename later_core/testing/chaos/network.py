"""A network that can be cut: every connection to a member of the replica set passes here.

The replica set is told the addresses of these doors, so that drivers which discover its members,
and the members among themselves, come through them too. A door tells its callers apart by their
process, and so one node can be cut off while the others are not; on loopback, without privileges.

What a cut holds back is delivered when it is healed, as TCP does: a write that was sent before the
cut may land long after its sender was given up.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Collection
from typing import Self

from later_core.testing.chaos.callers import caller_of

_CHUNK = 256 * 1024


class Network:
    """The doors to all members, and what is cut. An async context manager that owns every link."""

    def __init__(self) -> None:
        #: The processes that are told apart, by name; kept up by whoever starts them.
        self.pids: dict[str, int] = {}
        self._gates: defaultdict[tuple[str, str, bool], asyncio.Event] = defaultdict(_open_gate)
        self._servers: list[asyncio.Server] = []
        self._links: set[asyncio.Task[None]] = set()
        self._group = asyncio.TaskGroup()

    async def __aenter__(self) -> Self:
        await self._group.__aenter__()
        return self

    async def __aexit__(self, *failure: object) -> None:
        for server in self._servers:
            server.close()
        for link in self._links:
            link.cancel()
        await self._group.__aexit__(None, None, None)

    async def door(self, name: str, target: int) -> int:
        """Open a door to what listens at that port of loopback; answers the door's own port."""

        def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            link = self._group.create_task(self._link(name, target, reader, writer))
            self._links.add(link)
            link.add_done_callback(self._links.discard)

        server = await asyncio.start_server(connected, "127.0.0.1", 0)
        self._servers.append(server)
        return int(server.sockets[0].getsockname()[1])

    def cut(self, caller: str, doors: Collection[str], *, replies_only: bool = False) -> None:
        """Hold back all that passes between them, or only what comes back from the doors."""
        for door in doors:
            self._gates[caller, door, True].clear()
            if not replies_only:
                self._gates[caller, door, False].clear()

    def heal(self, caller: str) -> None:
        """Nothing of this caller is cut any more; what was held back goes on."""
        for (name, _, _), gate in self._gates.items():
            if name == caller:
                gate.set()

    async def _link(
        self,
        door: str,
        target: int,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        peer, here = (writer.get_extra_info(end)[1] for end in ("peername", "sockname"))
        caller = caller_of(self.pids, port=peer, accepted_at=here)
        requests, replies = self._gates[caller, door, False], self._gates[caller, door, True]
        try:
            await requests.wait()
            there_reader, there_writer = await asyncio.open_connection("127.0.0.1", target)
        except OSError:
            writer.transport.abort()
            return
        except asyncio.CancelledError:
            writer.transport.abort()
            raise
        try:
            async with asyncio.TaskGroup() as pumps:
                pumps.create_task(_pump(reader, there_writer, requests))
                pumps.create_task(_pump(there_reader, writer, replies))
        finally:
            writer.transport.abort()
            there_writer.transport.abort()


async def _pump(
    source: asyncio.StreamReader, sink: asyncio.StreamWriter, gate: asyncio.Event
) -> None:
    """Carry on what comes, whenever the gate lets it; the end of the source is the sink's end."""
    try:
        while data := await source.read(_CHUNK):
            await gate.wait()
            sink.write(data)
            await sink.drain()
        await gate.wait()
    except OSError:
        pass  # one of the ends is gone, and so is the link
    finally:
        sink.close()


def _open_gate() -> asyncio.Event:
    gate = asyncio.Event()
    gate.set()
    return gate
