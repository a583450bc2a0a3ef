"""Clients that break the rules of HTTP/2 lose their connection, and the others are served."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import grpc
import h2.config
import h2.connection
import h2.events
import h2.settings
import pytest
from h2.errors import ErrorCodes

from later_core.rpc.transport import HEADERS_MAX_BYTES, Transport
from later_core.rpc.v1 import later_pb2 as pb
from later_core.rpc.v1.later_pb2_grpc import TaskServiceStub

SECONDS = 30


class Hostile:
    """A client that says what it likes, frame by frame."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        config = h2.config.H2Configuration(validate_outbound_headers=False)
        self.http = h2.connection.H2Connection(config)
        self.http.initiate_connection()

    def open_stream(self, method: str = "TaskService/ListTasks", **headers: str) -> int:
        """Begin a call, and leave it there."""
        stream = self.http.get_next_available_stream_id()
        said = {
            ":method": "POST",
            ":scheme": "http",
            ":path": f"/later.v1.{method}",
            ":authority": "later",
            "te": "trailers",
            "content-type": "application/grpc",
            **headers,
        }
        self.http.send_headers(stream, list(said.items()))
        return stream

    async def send(self) -> None:
        self._writer.write(self.http.data_to_send())
        await self._writer.drain()

    async def hear(self) -> list[h2.events.Event]:
        """What the server says next; nothing once it has closed the connection."""
        try:
            data = await self._reader.read(65536)
        except ConnectionError:
            return []
        if not data:
            return []
        events = self.http.receive_data(data)
        await self.send()
        return events or [h2.events.Event()]

    async def until(self, kind: type) -> Any:
        """The first event of the kind; None if the connection ends without one."""
        async with asyncio.timeout(SECONDS):
            while events := await self.hear():
                for event in events:
                    if isinstance(event, kind):
                        return event
        return None

    async def settle(self) -> None:
        """Take the server's bounds to heart: gRPC holds to them only those who have."""
        await self.send()
        await self.until(h2.events.RemoteSettingsChanged)
        self.http.ping(b"in order")
        await self.send()
        await self.until(h2.events.PingAckReceived)

    async def until_closed(self) -> None:
        async with asyncio.timeout(SECONDS):
            while await self.hear():
                pass


@asynccontextmanager
async def hostile_to(served) -> AsyncIterator[Hostile]:
    host, _, port = served.server.address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        yield Hostile(reader, writer)
    finally:
        writer.transport.abort()


async def others_are_served(served) -> None:
    answer = await served.tasks.ListTasks(pb.ListTasksRequest(), timeout=SECONDS)
    assert len(answer.tasks) == 2
    async with grpc.aio.insecure_channel(served.server.address) as channel:
        await TaskServiceStub(channel).ListTasks(pb.ListTasksRequest(), timeout=SECONDS)


async def test_too_many_pings_end_the_connection(serve):
    async with serve() as served, hostile_to(served) as hostile:
        for number in range(10):
            hostile.http.ping(number.to_bytes(8, "big"))
        await hostile.send()
        end = await hostile.until(h2.events.ConnectionTerminated)
        assert end.error_code == ErrorCodes.ENHANCE_YOUR_CALM
        await hostile.until_closed()
        await others_are_served(served)


@pytest.mark.parametrize(
    "headers",
    [
        {"filling": "x" * HEADERS_MAX_BYTES},
        {f"filling-{n}": "x" * 1000 for n in range(100)},
    ],
    ids=["one", "many"],
)
async def test_huge_headers_are_refused(serve, headers):
    async with serve() as served, hostile_to(served) as hostile:
        await hostile.settle()
        stream = hostile.open_stream(**headers)
        await hostile.send()
        answer = await hostile.until(h2.events.ResponseReceived)
        assert answer.stream_id == stream
        refused = str(grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]).encode()
        assert dict(answer.headers)[b"grpc-status"] == refused
        await others_are_served(served)


async def test_headers_within_the_bound_are_taken(serve):
    async with serve() as served:
        token = (("filling", "x" * (HEADERS_MAX_BYTES - 1024)),)
        await served.tasks.ListTasks(pb.ListTasksRequest(), metadata=token, timeout=SECONDS)


@pytest.mark.parametrize("knows", [False, True])
async def test_streams_beyond_the_bound_are_refused_one_by_one(serve, knows):
    async with serve(transport=Transport(max_streams=3)) as served, hostile_to(served) as hostile:
        if knows:
            await hostile.settle()
            bound = h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS
            assert hostile.http.remote_settings[bound] == 3
            hostile.http.remote_settings[bound] = 100
            hostile.http.remote_settings.acknowledge()
        streams = [hostile.open_stream() for _ in range(5)]
        await hostile.send()
        refused = set()
        async with asyncio.timeout(SECONDS):
            while len(refused) < 2:
                for event in await hostile.hear():
                    if isinstance(event, h2.events.StreamReset):
                        refused.add(event.stream_id)
                        assert event.error_code in (
                            ErrorCodes.REFUSED_STREAM,
                            ErrorCodes.ENHANCE_YOUR_CALM,
                        )
        assert refused == set(streams[3:])
        await others_are_served(served)


async def test_streams_that_are_opened_and_reset_at_once_harm_nobody(serve):
    async with serve() as served, hostile_to(served) as hostile:
        for _ in range(20):
            for _ in range(50):
                hostile.http.reset_stream(hostile.open_stream(), ErrorCodes.CANCEL)
            try:
                await hostile.send()
            except ConnectionError:
                break
        await others_are_served(served)


@pytest.mark.parametrize("words", [b"GET / HTTP/1.1\r\nHost: later\r\n\r\n", b"\x16\x03\x01" * 9])
async def test_what_is_not_http_2_is_hung_up_on(serve, words):
    async with serve() as served, asyncio.timeout(SECONDS):
        host, _, port = served.server.address.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(words)
        try:
            while await reader.read(65536):
                pass
        except ConnectionResetError:
            pass
        writer.transport.abort()
        await others_are_served(served)


async def test_who_says_nothing_and_who_takes_note_of_no_bounds_are_hung_up_on(serve):
    introduction = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    no_settings = bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
    async with serve() as served, asyncio.timeout(60):
        host, _, port = served.server.address.rpartition(":")
        connections = [await asyncio.open_connection(host, int(port)) for _ in range(2)]
        connections[1][1].write(introduction + no_settings)
        for reader, writer in connections:
            while await reader.read(65536):  # the server introduces itself, and waits
                pass
            writer.transport.abort()
        await others_are_served(served)


async def test_connections_beyond_the_bound_are_closed_and_the_others_go_on(serve):
    async with serve(transport=Transport(max_connections=2)) as served:
        await served.tasks.ListTasks(pb.ListTasksRequest())
        async with hostile_to(served) as second:
            await second.send()
            assert await second.hear()
            async with hostile_to(served) as third:
                await third.until_closed()
            await served.tasks.ListTasks(pb.ListTasksRequest())
        async with asyncio.timeout(SECONDS):
            while True:  # until the server has noticed that the second is gone
                async with hostile_to(served) as next_one:
                    await next_one.send()
                    if await next_one.hear():
                        break


async def test_a_connection_without_calls_is_closed(serve):
    idle = Transport(idle=timedelta(seconds=1))
    async with serve(transport=idle) as served, hostile_to(served) as quiet:
        await quiet.send()
        assert await quiet.until(h2.events.ConnectionTerminated)
        await quiet.until_closed()
        await others_are_served(served)


async def is_watched(served) -> bool:
    try:
        await served.instances.WatchInstances(pb.WatchInstancesRequest()).read()
    except grpc.aio.AioRpcError:
        return False
    return True


async def test_watches_beyond_the_bound_are_refused_until_one_ends(serve, refusal):
    async with serve(max_watches=2) as served, asyncio.timeout(SECONDS):
        first, second = (served.instances.WatchInstances(pb.WatchInstancesRequest()) for _ in "ab")
        await first.read()
        await second.read()
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await served.instances.WatchInstances(pb.WatchInstancesRequest()).read()
        refused = refusal(raised.value)
        assert refused.code is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert refused.info.reason == "TOO_MANY_WATCHES"
        assert refused.info.metadata == {"limit": "2"}
        first.cancel()
        while not await is_watched(served):  # until the server has noticed
            pass
        await others_are_served(served)


async def test_who_takes_no_answer_and_leaves_is_no_error_in_the_log(serve, caplog):
    async with serve() as served:
        async with hostile_to(served) as hostile:
            hostile.http.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 0})
            await hostile.settle()
            stream = hostile.open_stream("InstanceService/WatchInstances")
            hostile.http.send_data(stream, bytes(5), end_stream=True)
            await hostile.send()
            await hostile.until(h2.events.ResponseReceived)
            async with asyncio.timeout(SECONDS):
                while not len(served.hub):
                    await served.tasks.ListTasks(pb.ListTasksRequest())
        async with asyncio.timeout(SECONDS):
            while len(served.hub):  # until the server has noticed
                await served.tasks.ListTasks(pb.ListTasksRequest())
        assert not [each for each in caplog.records if each.levelname == "ERROR"]
