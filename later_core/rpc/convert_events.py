"""Events: values <-> protobuf, in responses that every gRPC client accepts."""

from __future__ import annotations

from collections.abc import Iterator

from later_core.model.event import Event, EventBatch, EventType
from later_core.model.limits import RESPONSE_MAX_BYTES
from later_core.rpc.convert import fill_instance, from_instance
from later_core.rpc.times import fill_timestamp, from_timestamp
from later_core.rpc.v1 import later_pb2 as pb

_TO_TYPE: dict[EventType, pb.EventType.ValueType] = {
    type: pb.EventType.Value(f"EVENT_TYPE_{type}") for type in EventType
}
_FROM_TYPE: dict[int, EventType] = {number: type for type, number in _TO_TYPE.items()}


def to_event(event: Event) -> pb.InstanceEvent:
    """One event on the wire."""
    message = pb.InstanceEvent()
    _fill_event(message, event)
    return message


def _fill_event(message: pb.InstanceEvent, event: Event) -> None:
    message.type = _TO_TYPE[event.type]
    if event.instance is not None:
        fill_instance(message.instance, event.instance)
    fill_timestamp(message.event_time, event.event_time)


def to_responses(batch: EventBatch) -> Iterator[pb.WatchInstancesResponse]:
    """A batch as responses of at most RESPONSE_MAX_BYTES each, or of one single event.

    Each carries the position behind its own events, so that a subscriber can resume between any
    two; a batch of the EXISTING phase has no position, and so have its responses.
    """
    response = pb.WatchInstancesResponse()
    size = 0
    position = batch.position
    for event in batch.events:
        message = response.events.add()
        _fill_event(message, event)
        weight = message.ByteSize()
        if size and size + weight > RESPONSE_MAX_BYTES:
            too_much = response.events.pop()
            response.resume_token = position
            yield response
            response = pb.WatchInstancesResponse(events=[too_much])
            size = 0
        size += weight
        position = event.position if batch.position else ""
    response.resume_token = batch.position
    yield response


def from_response(response: pb.WatchInstancesResponse) -> EventBatch:
    """The batch that a server sent. The protocol gives one position a batch: each event has it."""
    position = response.resume_token
    return EventBatch(
        [
            Event(
                type=_FROM_TYPE[message.type],
                instance=from_instance(message.instance) if message.HasField("instance") else None,
                event_time=from_timestamp(message.event_time, "event_time"),
                position=position,
            )
            for message in response.events
        ],
        position,
    )
