"""What the server does to its connections so that no client can take it away from the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from later_core.model.tls import ServerTls

#: Calls under way at a time, watches among them; further ones get RESOURCE_EXHAUSTED.
MAX_CALLS = 8192

#: Of a whole request: four payloads of 1 MiB, and what stands around them.
REQUEST_MAX_BYTES = 4 * 1024 * 1024 + 256 * 1024

#: Of the headers of a call, as HTTP/2 counts them: room for tokens, and none for more.
HEADERS_MAX_BYTES = 16 * 1024

#: For a client to introduce itself and to take note of the bounds.
_HANDSHAKE_MILLIS = 10_000

#: Clients may ask whether the server is still there so often, and no more.
_PING_INTERVAL = timedelta(seconds=5)
#: So many pings that come too soon are passed over; the next one ends the connection.
_PING_STRIKES = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Transport:
    """How connections are taken: what an operator sets; ``settings`` says what each bound means.

    Without ``tls`` nothing is encrypted. With ``shares_port`` other processes may listen on the
    same port: its owner has made sure of it.
    """

    tls: ServerTls | None = None
    shares_port: bool = False
    max_connections: int = 800
    max_streams: int = 1024
    idle: timedelta = timedelta(minutes=15)
    age: timedelta = timedelta(hours=1)
    grace: timedelta = timedelta(minutes=10)


def server_options(transport: Transport) -> Sequence[tuple[str, int]]:
    """All of it but the encryption, in the words of gRPC's core."""
    return (
        # A taken port must be refused.
        ("grpc.so_reuseport", int(transport.shares_port)),
        ("grpc.max_receive_message_length", REQUEST_MAX_BYTES),
        # Between the first and the second gRPC would refuse at random.
        ("grpc.max_metadata_size", HEADERS_MAX_BYTES),
        ("grpc.absolute_max_metadata_size", HEADERS_MAX_BYTES),
        ("grpc.max_concurrent_streams", transport.max_streams),
        ("grpc.max_allowed_incoming_connections", transport.max_connections),
        # Whoever connects and says nothing must not hold a place for gRPC's two minutes.
        ("grpc.server_handshake_timeout_ms", _HANDSHAKE_MILLIS),
        # Until a client has acknowledged the bounds above, gRPC does not hold it to them.
        ("grpc.http2.settings_timeout", _HANDSHAKE_MILLIS),
        ("grpc.max_connection_idle_ms", _millis(transport.idle)),
        ("grpc.max_connection_age_ms", _millis(transport.age)),
        ("grpc.max_connection_age_grace_ms", _millis(transport.grace)),
        # A subscriber whose machine is gone is noticed within 40 s.
        ("grpc.keepalive_time_ms", 30_000),
        ("grpc.keepalive_timeout_ms", 10_000),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.max_pings_without_data", 0),
        ("grpc.http2.min_recv_ping_interval_without_data_ms", _millis(_PING_INTERVAL)),
        ("grpc.http2.max_ping_strikes", _PING_STRIKES),
    )


def _millis(span: timedelta) -> int:
    return span // timedelta(milliseconds=1)
