"""Events: values <-> protobuf."""

from __future__ import annotations

from later_core.model.event import Event, EventBatch, EventType
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
    fill_event(message, event)
    return message


def fill_event(message: pb.InstanceEvent, event: Event) -> None:
    """Write an event into an empty message."""
    message.type = _TO_TYPE[event.type]
    if event.instance is not None:
        fill_instance(message.instance, event.instance)
    fill_timestamp(message.event_time, event.event_time)


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
