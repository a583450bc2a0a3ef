"""Whatever a client sends, it is answered as a right or a wrong request: never INTERNAL, never UNKNOWN."""

from __future__ import annotations

import re

import grpc
import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from later_core.errors import InvalidRequest
from later_core.rpc.v1 import later_pb2 as pb
from later_core.rpc.validation import check

METHODS = [
    method for service in pb.DESCRIPTOR.services_by_name.values() for method in service.methods
]
EXPECTED = {
    grpc.StatusCode.OK,
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.ALREADY_EXISTS,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.ABORTED,
}

F = FieldDescriptor
TEXT = st.one_of(
    st.sampled_from(
        ["", "echo", "a", "b", "a\0b", "$where", "k.k", "\u202e", "x" * 200, "🙂", " "]
    ),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
)
INTS = {
    F.TYPE_INT32: (-(2**31), 2**31 - 1),
    F.TYPE_INT64: (-(2**63), 2**63 - 1),
}


def integers(low, high):
    return st.one_of(
        st.sampled_from([0, 1, -1, low, high]), st.integers(0, 100), st.integers(low, high)
    )


def scalar(field):
    if field.type in INTS:
        return integers(*INTS[field.type])
    return {
        F.TYPE_STRING: TEXT,
        F.TYPE_BYTES: st.binary(max_size=20),
        F.TYPE_BOOL: st.booleans(),
        F.TYPE_DOUBLE: st.floats(),
        F.TYPE_ENUM: st.one_of(st.integers(0, 6), st.integers(-(2**31), 2**31 - 1)),
    }[field.type]


def value(field, depth):
    return messages(field.message_type, depth + 1) if field.message_type else scalar(field)


@st.composite
def messages(draw, descriptor: Descriptor, depth: int = 0):
    """Any message of the type, field by field, each set or not."""
    message = descriptor._concrete_class()
    for field in descriptor.fields:
        if depth > 6 or not draw(st.booleans()):
            continue
        inner = field.message_type
        if inner is not None and inner.GetOptions().map_entry:
            entries = getattr(message, field.name)
            kind = inner.fields_by_name["value"]
            for key in draw(st.lists(TEXT, max_size=3)):
                if kind.message_type is not None:
                    entries[key].CopyFrom(draw(value(kind, depth)))
                else:
                    entries[key] = draw(scalar(kind))
        elif field.is_repeated:
            getattr(message, field.name).extend(draw(st.lists(value(field, depth), max_size=3)))
        elif inner is not None:
            getattr(message, field.name).CopyFrom(draw(value(field, depth)))
        else:
            setattr(message, field.name, draw(scalar(field)))
    return message


def mended(message):
    """A copy without the fields that the rules refuse, so that what is odd gets past them."""
    copy = type(message)()
    copy.CopyFrom(message)
    for request in getattr(copy, "requests", ()):
        request.CopyFrom(mended(request))
    for _ in range(10):
        try:
            check(copy)
        except InvalidRequest as error:
            for violation in error.violations:
                field = re.match(r"\w+", violation.field)[0]
                if field in copy.DESCRIPTOR.fields_by_name and field != "spec":
                    copy.ClearField(field)
                if field == "spec":
                    mend_spec(copy.spec, violation.field)
                if field in ("start_time", "end_time"):
                    copy.start_time.seconds, copy.end_time.seconds = 1, 2
                if field in ("task", "id", "name"):
                    setattr(copy, field, "echo")
    return copy


def mend_spec(spec, path):
    """Without the field that is refused, and with what every spec needs."""
    spec.task = "echo"
    if field := re.match(r"spec\.(\w+)", path):
        spec.ClearField(field[1])
    if not spec.rules:
        spec.rules.add().cron.expression = "*/5 * * * *"


async def unary_codes(method, requests):
    """The code of each call; a stream of responses counts as OK with its first one."""
    for request in requests:
        call = method(request, timeout=20)
        try:
            if isinstance(call, grpc.aio.UnaryStreamCall):
                await anext(aiter(call))
                call.cancel()
            else:
                await call
        except grpc.aio.AioRpcError as error:
            yield error.code()


async def stream_codes(method, requests):
    """The code that each batch ended its stream with, and those of the requests that failed in it."""
    for request in requests:
        call = method(timeout=20)
        try:
            await call.write(request)
            answer = await call.read()
            await call.done_writing()
        except grpc.aio.AioRpcError as error:
            yield error.code()
        else:
            for failure in answer.failures:
                yield next(c for c in grpc.StatusCode if c.value[0] == failure.error.code)


async def codes(served, descriptor, requests):
    stubs = (served.instances, served.schedules, served.tasks, served.admin)
    method = next(m for stub in stubs if (m := getattr(stub, descriptor.name, None)))
    found = stream_codes if descriptor.client_streaming else unary_codes
    return {code async for code in found(method, requests)}


@pytest.mark.parametrize("place", ["memory", "mongodb"])
@pytest.mark.parametrize("descriptor", METHODS, ids=lambda method: method.name)
async def test_no_request_is_answered_with_an_internal_error(serve, store_in, descriptor, place):
    drawn = []

    @settings(max_examples=150, suppress_health_check=list(HealthCheck))
    @given(messages(descriptor.input_type))
    def draw(message):
        drawn.extend([message, mended(message)])

    draw()
    async with store_in(place) as store, serve(store) as served:
        await served.instances.CreateInstance(pb.CreateInstanceRequest(task="echo", id="a"))
        assert await codes(served, descriptor, drawn) <= EXPECTED
