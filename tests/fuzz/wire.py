"""A client that puts on the wire what it likes, byte by byte."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import h2.config
import h2.connection
import h2.events

SECONDS = 30


def framed(message: bytes, *, length: int | None = None, flags: int = 0) -> bytes:
    """A message as gRPC frames it; another length and flags than are true, if asked for."""
    return struct.pack(">BI", flags, len(message) if length is None else length) + message


class Conversation:
    """One connection: bytes out as they are, and what the server says taken note of."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=SECONDS)
        config = h2.config.H2Configuration(
            validate_outbound_headers=False,
            validate_inbound_headers=False,
            normalize_outbound_headers=False,
        )
        self.http = h2.connection.H2Connection(config)
        self.http.initiate_connection()
        #: The headers and trailers of each stream that was answered.
        self.answers: dict[int, dict[bytes, bytes]] = {}
        self.ended: set[int] = set()
        self.is_closed = False

    def begin(self, path: str, headers: Mapping[str, str] | None = None) -> int:
        """Begin a call, and say nothing more."""
        stream = self.http.get_next_available_stream_id()
        said = {
            ":method": "POST",
            ":scheme": "http",
            ":path": path,
            ":authority": "later",
            "te": "trailers",
            "content-type": "application/grpc",
            **(headers or {}),
        }
        self.http.send_headers(stream, list(said.items()))
        return stream

    def say(self, stream: int, data: bytes, *, is_last: bool) -> None:
        """Send so much, at the pace at which the server takes it."""
        while data and not self.is_closed and stream not in self.ended:
            room = min(
                self.http.local_flow_control_window(stream), self.http.max_outbound_frame_size
            )
            if not room:
                self.flush()
                self.hear()
                continue
            self.http.send_data(stream, data[:room])
            data = data[room:]
        if is_last and not self.is_closed and stream not in self.ended:
            self.http.end_stream(stream)
        self.flush()

    def flush(self) -> None:
        """What was begun goes out."""
        self.put(self.http.data_to_send())

    def put(self, data: bytes) -> None:
        """These very bytes go out, unless the server has hung up."""
        try:
            self._socket.sendall(data)
        except OSError:
            self.is_closed = True

    def hear(self) -> None:
        """Take in what the server says next."""
        try:
            data = self._socket.recv(65536)
        except OSError:
            data = b""
        if not data:
            self.is_closed = True
            return
        for event in self.http.receive_data(data):
            self._note(event)
        self.flush()

    def _note(self, event: h2.events.Event) -> None:
        match event:
            case h2.events.ResponseReceived() | h2.events.TrailersReceived():
                self.answers.setdefault(event.stream_id, {}).update(event.headers)
            case h2.events.DataReceived():
                self.http.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            case h2.events.StreamEnded() | h2.events.StreamReset():
                self.ended.add(event.stream_id)

    def status(self, stream: int) -> int | None:
        """How the server ends the call; None if it hangs up instead, or resets the stream."""
        while stream not in self.ended and not self.is_closed:
            self.hear()
        status = self.answers.get(stream, {}).get(b"grpc-status")
        return None if status is None else int(status)

    def until_closed(self, seconds: float) -> None:
        """Read on until the server hangs up, for so long at most."""
        end = time.monotonic() + seconds  # noqa: TID251 -- a real peer is waited for
        self._socket.settimeout(0.05)
        while not self.is_closed and time.monotonic() < end:  # noqa: TID251 -- of a real process
            try:
                if not self._socket.recv(65536):
                    return
            except TimeoutError:
                continue
            except OSError:
                return

    def close(self) -> None:
        """Hang up without a word."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()


@contextmanager
def conversation(port: int) -> Iterator[Conversation]:
    """One connection for the length of the block."""
    talk = Conversation(port)
    try:
        yield talk
    finally:
        talk.close()
