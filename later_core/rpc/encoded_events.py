"""Watch responses as bytes: what many subscribers are told is converted and serialized once.

Protobuf lets encodings be joined: the parts of a message that follow each other are merged, repeated
fields appended (https://protobuf.dev/programming-guides/encoding/#last-one-wins). So a response is
the encodings of responses of one event each, and one of the resume token behind them.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator

from later_core.model.event import Event, EventBatch
from later_core.model.limits import RESPONSE_MAX_BYTES
from later_core.rpc.convert_events import fill_event
from later_core.rpc.v1 import later_pb2 as pb

#: What is remembered of the last events: more than subscribers that keep up are apart.
_REMEMBERED_BYTES = 8 * 1024 * 1024


class EncodedEvents:
    """Encodes batches of events, remembering the last ones for the other subscribers."""

    def __init__(self, *, remembered_bytes: int = _REMEMBERED_BYTES) -> None:
        self._room = remembered_bytes
        #: By type and position, the oldest first. A RESYNC has the position of the event before it.
        #: A plain dict would search for its oldest entry among all that have been taken out of it.
        self._parts: OrderedDict[tuple[str, str], bytes] = OrderedDict()
        self._size = 0

    def responses(self, batch: EventBatch) -> Iterator[bytes]:
        """Encodings of WatchInstancesResponse, of at most RESPONSE_MAX_BYTES each or of one event.

        Each carries the position behind its own events, so that a subscriber can resume between
        any two; a batch of the EXISTING phase has no position, and so have its responses.
        """
        parts: list[bytes] = []
        size = 0
        position = batch.position
        for event in batch.events:
            part = self._part(event)
            if size and size + len(part) > RESPONSE_MAX_BYTES:
                yield _joined(parts, position)
                parts, size = [], 0
            parts.append(part)
            size += len(part)
            position = event.position if batch.position else ""
        yield _joined(parts, batch.position)

    def _part(self, event: Event) -> bytes:
        if not event.position:
            return _encoded(event)
        key = (event.type, event.position)
        part = self._parts.get(key)
        if part is None:
            part = self._parts[key] = _encoded(event)
            self._size += len(part)
            while self._size > self._room:
                _, oldest = self._parts.popitem(last=False)
                self._size -= len(oldest)
        return part


def _encoded(event: Event) -> bytes:
    response = pb.WatchInstancesResponse()
    fill_event(response.events.add(), event)
    return response.SerializeToString()


def _joined(parts: list[bytes], position: str) -> bytes:
    token = pb.WatchInstancesResponse(resume_token=position).SerializeToString()
    return b"".join((*parts, token))
