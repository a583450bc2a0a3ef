"""The doors: what is cut waits, what is healed arrives, and callers are told apart."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from later_core.testing.chaos.network import Network

ME = "me"
DOOR = "echo"
Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@asynccontextmanager
async def echoing(heard: list[bytes]) -> AsyncIterator[int]:
    """A server that notes each line and sends it back; its port."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            heard.append(line)
            writer.write(line)
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


@pytest.fixture
async def heard() -> list[bytes]:
    return []


@pytest.fixture
async def network() -> AsyncIterator[Network]:
    async with asyncio.timeout(30), Network() as network:
        network.pids[ME] = os.getpid()
        yield network


@pytest.fixture
async def door(network: Network, heard: list[bytes]) -> AsyncIterator[int]:
    async with echoing(heard) as port:
        yield await network.door(DOOR, port)


@pytest.fixture
async def ends(door: int) -> AsyncIterator[Ends]:
    reader, writer = await asyncio.open_connection("127.0.0.1", door)
    yield reader, writer
    writer.close()


async def said(ends: Ends, line: bytes) -> bytes:
    reader, writer = ends
    writer.write(line)
    return await reader.readline()


async def says_nothing(reader: asyncio.StreamReader) -> bool:
    try:
        async with asyncio.timeout(0.3):
            await reader.read(1)
    except TimeoutError:
        return True
    return False


async def test_a_door_carries_both_ways(ends: Ends) -> None:
    assert await said(ends, b"one\n") == b"one\n"


async def test_what_is_cut_is_held_back_and_arrives_once_healed(
    network: Network, ends: Ends, heard: list[bytes]
) -> None:
    assert await said(ends, b"one\n") == b"one\n"
    network.cut(ME, [DOOR])
    ends[1].write(b"two\n")
    assert await says_nothing(ends[0])
    assert heard == [b"one\n"]
    network.heal(ME)
    assert await ends[0].readline() == b"two\n"


async def test_replies_alone_can_be_held_back(
    network: Network, ends: Ends, heard: list[bytes]
) -> None:
    assert await said(ends, b"one\n") == b"one\n"
    network.cut(ME, [DOOR], replies_only=True)
    ends[1].write(b"two\n")
    assert await says_nothing(ends[0])
    assert heard == [b"one\n", b"two\n"]
    network.heal(ME)
    assert await ends[0].readline() == b"two\n"


async def test_a_new_connection_is_cut_too(network: Network, door: int, heard: list[bytes]) -> None:
    network.cut(ME, [DOOR])
    reader, writer = await asyncio.open_connection("127.0.0.1", door)
    writer.write(b"one\n")
    assert await says_nothing(reader)
    assert heard == []
    network.heal(ME)
    assert await reader.readline() == b"one\n"
    writer.close()


async def test_another_process_is_not_cut(network: Network, door: int) -> None:
    network.cut(ME, [DOOR])
    talk = "import socket, sys; s = socket.create_connection(('127.0.0.1', int(sys.argv[1])))"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", f"{talk}; s.sendall(b'hi\\n'); print(s.recv(3))", str(door)),
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()
    assert out.decode().strip() == r"b'hi\n'"


async def test_a_door_to_nothing_closes(network: Network) -> None:
    port = await network.door("nothing", 1)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    with suppress(ConnectionResetError):
        assert await reader.read() == b""
    writer.close()
