"""Bytes on the wire that no library would send: refused or hung up on, and the others are served."""

from __future__ import annotations

import zlib
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import grpc
import h2.connection
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from later_core.rpc.v1 import later_pb2 as pb

from .calls import METHODS, path_of, right
from .mutations import mutated
from .wire import conversation, framed

CREATE = "/later.v1.InstanceService/CreateInstance"
STREAM = "/later.v1.InstanceService/StreamCreateInstances"
GET = "/later.v1.InstanceService/GetInstance"
RIGHT = pb.GetInstanceRequest(id="none").SerializeToString()
OK, NOT_FOUND = 0, grpc.StatusCode.NOT_FOUND.value[0]
TOO_MUCH = grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]


def spoken(path: str, *messages: bytes) -> bytes:
    """What a client that keeps the rules puts on the wire, from the first byte on."""
    http = h2.connection.H2Connection()
    http.initiate_connection()
    headers = {":method": "POST", ":scheme": "http", ":path": path, ":authority": "later"}
    headers |= {"te": "trailers", "content-type": "application/grpc", "grpc-timeout": "5S"}
    http.send_headers(1, list(headers.items()))
    for message in messages:
        http.send_data(1, framed(message))
    http.end_stream(1)
    return http.data_to_send()


SPOKEN = [spoken(path_of(m), right(m.input_type).SerializeToString()) for m in METHODS]


def test_conversations_that_are_hardly_changed_harm_nobody(server):
    @settings(settings.default, deadline=None)
    @given(mutated(st.sampled_from(SPOKEN)), st.booleans())
    def attack(data, listens):
        with conversation(server.port) as talk:
            talk.put(data)
            if listens:
                talk.until_closed(seconds=0.05)

    with server.unharmed(breaks_frames=True):
        attack()


@cache
def packed_zeros(mebibytes: int, *, times: int = 1) -> bytes:
    """So many zeros in gzip, and that in gzip again, so often."""
    part = bytes(1024 * 1024)
    pack = zlib.compressobj(9, zlib.DEFLATED, 31)
    data = b"".join(pack.compress(part) for _ in range(mebibytes)) + pack.flush()
    for _ in range(times - 1):
        pack = zlib.compressobj(9, zlib.DEFLATED, 31)
        data = pack.compress(data) + pack.flush()
    return data


@pytest.mark.parametrize("path", [CREATE, STREAM])
def test_what_unpacks_to_a_quarter_of_a_gigabyte_is_not_unpacked(server, path):
    bomb = packed_zeros(256)

    def send(_):
        with conversation(server.port) as talk:
            stream = talk.begin(path, {"grpc-encoding": "gzip"})
            talk.say(stream, framed(bomb, flags=1), is_last=True)
            return talk.status(stream)

    with server.unharmed(breaks_frames=True), ThreadPoolExecutor(8) as attackers:
        assert set(attackers.map(send, range(8))) == {TOO_MUCH}


@pytest.mark.parametrize(
    ("encoding", "message", "flags"),
    [
        ("gzip", packed_zeros(64)[:1000], 1),
        ("gzip", b"\x1f\x8b" + bytes(100), 1),
        ("gzip", b"", 1),
        ("gzip", packed_zeros(8, times=3), 1),
        ("deflate", RIGHT, 1),
        ("br", RIGHT, 1),
        ("", RIGHT, 1),
        ("gzip, gzip", RIGHT, 1),
        ("x" * 1000, RIGHT, 1),
        ("identity", RIGHT, 1),
        ("identity", RIGHT, 2),
        ("identity", RIGHT, 255),
    ],
)
def test_odd_encodings_are_refused(server, encoding, message, flags):
    with conversation(server.port) as talk:
        stream = talk.begin(GET, {"grpc-encoding": encoding})
        talk.say(stream, framed(message, flags=flags), is_last=True)
        assert talk.status(stream) != OK
    server.is_well()


@pytest.mark.parametrize("length", [0, 1, len(RIGHT) - 1, len(RIGHT) + 1, 2**31 - 1, 2**32 - 1])
def test_lengths_that_lie_are_found_out(server, length):
    with server.unharmed(breaks_frames=True), conversation(server.port) as talk:
        stream = talk.begin(GET, {"grpc-timeout": "2S"})
        talk.say(stream, framed(RIGHT, length=length), is_last=True)
        assert talk.status(stream) not in (OK, NOT_FOUND)


ODD_HEADERS = [
    *({"grpc-timeout": v} for v in ("0n", "0S", "-1S", "99999999H", "999999999H", "1", "S", "é")),
    *({"content-type": v} for v in ("text/html", "application/grpc+json", "", "x" * 9000)),
    *({":path": v} for v in ("", "/", "//", "*", "/later.v1.InstanceService/", GET + "/../x")),
    *({":path": v} for v in (GET + "?a=b", GET.upper(), "/" + "a" * 9000, GET + "\x00")),
    *({":method": v} for v in ("GET", "PUT", "PRI", "")),
    *({"traceparent": v} for v in ("00-", "x" * 5000, "00-" + "0" * 32 + "-" + "0" * 16 + "-01")),
    {"traceparent": "ff-" + "f" * 32 + "-" + "f" * 16 + "-ff"},
    {"tracestate": "a=" + "b" * 5000},
    {"authorization": "Bearer " + "x" * 8000},
    {"authorization": "Basic \x00"},
    {"odd-bin": "not base64 at all!"},
    {"grpc-status": "0"},
    {"grpc-message": "%00%ff%"},
    {"grpc-accept-encoding": "gzip," * 1000},
    {"te": "gzip"},
    {"host": "elsewhere"},
    {"connection": "upgrade"},
    {"content-length": "-1"},
    {"expect": "100-continue"},
    {"grpc-tags-bin": "AAA=", "grpc-trace-bin": "AAAA", "grpc-server-stats-bin": "x"},
    {"": "no name"},
    {"UPPER": "case"},
    {"a\r\nb": "x"},
]


def test_odd_headers_are_refused_or_passed_over(server):
    # INTERNAL is what gRPC itself answers to some of them.
    faults = (grpc.StatusCode.UNKNOWN.value[0], grpc.StatusCode.UNAVAILABLE.value[0])
    with server.unharmed(breaks_frames=True):
        for headers in ODD_HEADERS:
            with conversation(server.port) as talk:
                stream = talk.begin(GET, {"grpc-timeout": "5S", **headers})
                talk.say(stream, framed(RIGHT), is_last=True)
                assert talk.status(stream) not in faults, headers
