"""Watch responses as bytes: what many subscribers are told is converted and serialized once.

Protobuf lets encodings be joined: the parts of a message that follow each other are merged, repeated
fields appended (https://protobuf.dev/programming-guides/encoding/#last-one-wins). So a response is
the encodings of responses of a few events each, and one of the resume token behind them.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import NamedTuple

from later_core.model.event import Event, EventBatch
from later_core.model.limits import RESPONSE_MAX_BYTES
from later_core.ports.turns import turn
from later_core.rpc.convert_events import fill_event
from later_core.rpc.v1 import later_pb2 as pb

#: What is remembered of the last events: more than subscribers that keep up are apart.
_REMEMBERED_BYTES = 8 * 1024 * 1024
_REMEMBERED_BATCHES = 16

#: So many are encoded in one turn of the event loop, a third of a millisecond.
_TURN_EVENTS = 32


class _Chunk(NamedTuple):
    """A few events that follow each other, and the position behind them."""

    data: bytes
    position: str


@dataclass(slots=True)
class _Encoding:
    """A batch, and as much of it as is encoded. Several may be at it, by turns."""

    batch: EventBatch
    chunks: list[_Chunk] = field(default_factory=list)
    count: int = 0
    size: int = 0


class EncodedEvents:
    """Encodes batches of events, remembering the last ones for the other subscribers."""

    def __init__(self, *, remembered_bytes: int = _REMEMBERED_BYTES) -> None:
        self._room = remembered_bytes
        #: Events by type and position, for subscribers whose filters differ; the oldest first. A RESYNC
        #: has the position of the event before it.
        #: A plain dict would search for its oldest entry among all that have been taken out of it.
        self._events: OrderedDict[tuple[str, str], bytes] = OrderedDict()
        self._size = 0
        #: Batches by their identity, which is theirs while they are held here; the oldest first.
        self._batches: OrderedDict[int, _Encoding] = OrderedDict()

    async def responses(self, batch: EventBatch) -> AsyncGenerator[bytes, None]:
        """Encodings of WatchInstancesResponse, of at most RESPONSE_MAX_BYTES each or of one event.

        Each carries the position behind its own events, so that a subscriber can resume between
        any two; a batch of the EXISTING phase has no position, and so have its responses.
        """
        held: list[bytes] = []
        size, position = 0, batch.position
        for part in batch.parts or (batch,):
            for chunk in await self._encoded(part, is_shared=bool(batch.parts)):
                if size and size + len(chunk.data) > RESPONSE_MAX_BYTES:
                    yield _joined(held, position)
                    held, size = [], 0
                held.append(chunk.data)
                size += len(chunk.data)
                position = chunk.position if batch.position else ""
        yield _joined(held, batch.position)

    async def _encoded(self, batch: EventBatch, *, is_shared: bool) -> list[_Chunk]:
        encoding = self._remembered(batch) if is_shared else _Encoding(batch)
        while encoding.count < len(batch.events):
            self._encode_more(encoding)
            if encoding.count < len(batch.events):
                await turn()
        return encoding.chunks

    def _remembered(self, batch: EventBatch) -> _Encoding:
        encoding = self._batches.get(id(batch))
        if encoding is None:
            encoding = self._batches[id(batch)] = _Encoding(batch)
            size = sum(one.size for one in self._batches.values())
            while len(self._batches) > _REMEMBERED_BATCHES or size > self._room:
                _, oldest = self._batches.popitem(last=False)
                size -= oldest.size
        return encoding

    def _encode_more(self, encoding: _Encoding) -> None:
        """One more chunk, of as many events as one turn and one response hold."""
        parts: list[bytes] = []
        size = 0
        events = encoding.batch.events[encoding.count : encoding.count + _TURN_EVENTS]
        for event in events:
            part = self._part(event)
            if size and size + len(part) > RESPONSE_MAX_BYTES:
                break
            parts.append(part)
            size += len(part)
        encoding.chunks.append(_Chunk(b"".join(parts), events[len(parts) - 1].position))
        encoding.count += len(parts)
        encoding.size += size

    def _part(self, event: Event) -> bytes:
        if not event.position:
            return _encoded(event)
        key = (event.type, event.position)
        part = self._events.get(key)
        if part is None:
            part = self._events[key] = _encoded(event)
            self._size += len(part)
            while self._size > self._room:
                _, oldest = self._events.popitem(last=False)
                self._size -= len(oldest)
        return part


def _encoded(event: Event) -> bytes:
    response = pb.WatchInstancesResponse()
    fill_event(response.events.add(), event)
    return response.SerializeToString()


def _joined(parts: list[bytes], position: str) -> bytes:
    token = pb.WatchInstancesResponse(resume_token=position).SerializeToString()
    return b"".join((*parts, token))
