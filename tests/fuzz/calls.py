"""Every RPC of Later with a request that is right, made from the descriptors: a new RPC is among them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import grpc
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message

from later_core.rpc.v1 import later_pb2 as pb

METHODS = [
    method for service in pb.DESCRIPTOR.services_by_name.values() for method in service.methods
]

#: Nobody but a fault of the server's own makes it answer so.
FAULTS = {
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.UNKNOWN,
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
}

#: What is right in a field of this name; other text is a word, and other numbers are 1.
_RIGHT = {
    "task": "echo",
    "tasks": "echo",
    "name": "echo",
    "expression": "0 0 1 1 *",
    "rrule": "FREQ=YEARLY",
    "time_zone": "Europe/Paris",
    "dates": "2030-12-25",
    "page_token": "",
    "resume_token": "",
    "include_existing": False,
    "etag": "",
    "multiplier": 2.0,
    "reason": "TASK_FAILED",
    "page_size": 10,
    "count": 5,
}
_SECONDS = {
    "google.protobuf.Timestamp": {"end_time": 4_000_000_000},
    "google.protobuf.Duration": {"max_backoff": 60, "every": 3600, "delay": 86400},
}
_OPAQUE = "google.protobuf.Struct"


def path_of(method: MethodDescriptor) -> str:
    """As it stands in the headers of a call."""
    return f"/{method.containing_service.full_name}/{method.name}"


def right(descriptor: Descriptor, depth: int = 0) -> Message:
    """A message with every field set, of a choice the first."""
    message = descriptor._concrete_class()
    for field in descriptor.fields:
        if field.containing_oneof is None or field.containing_oneof.fields[0] is field:
            _fill(message, field, depth)
    return message


def _fill(message: Message, field: FieldDescriptor, depth: int) -> None:
    inner = field.message_type
    if inner is None:
        value = _scalar(field)
        if field.is_repeated:
            getattr(message, field.name).append(value)
        else:
            setattr(message, field.name, value)
    elif inner.GetOptions().map_entry:
        if inner.fields_by_name["value"].message_type is None:
            getattr(message, field.name)["key"] = "value"
    elif inner.full_name in _SECONDS:
        seconds = _SECONDS[inner.full_name].get(field.name, 3_000_000_000)
        if inner.name == "Duration":
            seconds = _SECONDS[inner.full_name].get(field.name, 10)
        part = getattr(message, field.name)
        (part.add() if field.is_repeated else part).seconds = seconds
    elif inner.full_name != _OPAQUE and depth < 6:
        part = right(inner, depth + 1)
        if field.is_repeated:
            getattr(message, field.name).append(part)
        else:
            getattr(message, field.name).CopyFrom(part)


def _scalar(field: FieldDescriptor) -> object:
    kind = {
        FieldDescriptor.TYPE_STRING: "a-word",
        FieldDescriptor.TYPE_BYTES: b'{"message": "a-word"}',
        FieldDescriptor.TYPE_BOOL: False,
    }.get(field.type, 1)
    return _RIGHT.get(field.name, kind)


@dataclass(frozen=True)
class Answer:
    """How a call ended: its code, and what came before that."""

    code: grpc.StatusCode
    responses: tuple[Message, ...] = ()
    details: str = ""


def ask(channel: grpc.Channel, method: MethodDescriptor, *requests: bytes) -> Answer:
    """Call a method with these bytes as its requests.

    An endless stream of responses is left when the first one has come.
    """
    kind = ("stream" if method.client_streaming else "unary") + (
        "_stream" if method.server_streaming else "_unary"
    )
    call = getattr(channel, kind)(
        path_of(method), response_deserializer=method.output_type._concrete_class.FromString
    )
    responses: list[Message] = []
    try:
        asked = iter(requests) if method.client_streaming else requests[0]
        answered = call(asked, timeout=20)
        if not method.server_streaming:
            return Answer(grpc.StatusCode.OK, (answered,))
        for response in answered:
            responses.append(response)
            if not method.client_streaming:
                answered.cancel()
                break
    except grpc.RpcError as error:
        return Answer(error.code(), tuple(responses), error.details() or "")
    return Answer(grpc.StatusCode.OK, tuple(responses))


def texts(descriptor: Descriptor, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The way to each field that holds text, bytes, or text by text, of a message."""
    for field in descriptor.fields:
        here = (*path, field.name)
        inner = field.message_type
        if inner is None:
            if field.type in (FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES):
                yield here
        elif inner.full_name == _OPAQUE or inner.GetOptions().map_entry:
            yield here
        elif inner.full_name not in path and len(here) < 7:
            yield from texts(inner, here)


def put(message: Message, path: tuple[str, ...], text: str) -> None:
    """Set the field at the end of the way; of a map both a key and the value of another key."""
    for name in path[:-1]:
        part = getattr(message, name)
        if message.DESCRIPTOR.fields_by_name[name].is_repeated:
            part = part[0] if len(part) else part.add()
        message = part
    field = message.DESCRIPTOR.fields_by_name[path[-1]]
    value: object = text.encode() if field.type == FieldDescriptor.TYPE_BYTES else text
    if field.message_type is not None and field.message_type.full_name == _OPAQUE:
        getattr(message, field.name).update({text: {text: text, "$where": text}})
    elif field.message_type is not None:
        if field.message_type.fields_by_name["value"].message_type is None:
            getattr(message, field.name).update({text: "value"})
    elif field.is_repeated:
        getattr(message, field.name).append(value)
    else:
        setattr(message, field.name, value)
