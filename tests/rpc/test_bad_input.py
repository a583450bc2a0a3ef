"""Each field of each request, wrong in each way, is refused with INVALID_ARGUMENT that names it.

The table is checked against the descriptors: a new field without a row here fails.
"""

from __future__ import annotations

import grpc
import pytest
from google.protobuf.descriptor import FieldDescriptor

from later_core.rpc.v1 import later_pb2 as pb
from tests.rpc.wrong_fields import CREATE, FREE, RIGHT, ROWS, TABLE, methods


def leaves(message, prefix=""):
    """The paths of all fields that a client can set; well-known types and maps count as one."""
    for field in message.fields:
        path = prefix + field.name
        inner = field.message_type
        if (
            inner is None
            or inner.file.package == "google.protobuf"
            or inner.GetOptions().map_entry
            or field.is_repeated
        ):
            yield path
        else:
            yield from leaves(inner, f"{path}.")


@pytest.mark.parametrize("method", methods())
def test_the_table_has_every_field_of_every_request(method):
    fields = set(leaves(methods()[method].input_type))
    assert {row.field for row in TABLE[method]} == fields - FREE


def filled(method, row):
    request = getattr(pb, methods()[method].input_type.name)()
    fields = dict(RIGHT.get(method, {}))
    if row.field == "include_existing":
        fields["resume_token"] = "token"
    if row.field == "filter.end_time":
        put(request, "filter.start_time", {"seconds": 1})
    if row.field == "spec.end_time":
        fields["spec.start_time"] = {"seconds": 1}
    for name, value in fields.items():
        put(request, name, value)
    if row.field == "roles":
        request.ClearField("roles")
    if row.field in ("spec.rules", "spec.task"):
        request.spec.ClearField(row.field.removeprefix("spec."))
    put(request, row.field, row.value)
    return request


def put(message, path, value):
    *parents, name = path.split(".")
    for parent in parents:
        message = getattr(message, parent)
    field: FieldDescriptor = message.DESCRIPTOR.fields_by_name[name]
    if name == "json":
        message.json.update(value)
    elif field.message_type is not None and field.message_type.GetOptions().map_entry:
        getattr(message, name).update(value)
    elif field.is_repeated and field.message_type is not None:
        getattr(message, name).extend(field.message_type._concrete_class(**item) for item in value)
    elif field.is_repeated:
        getattr(message, name).extend(value)
    elif field.message_type is not None:
        getattr(message, name).CopyFrom(field.message_type._concrete_class(**value))
    else:
        setattr(message, name, value)


async def call(served, method, request):
    """Call the method once; streams until their first response."""
    for stub in (served.instances, served.schedules, served.tasks, served.admin):
        if hasattr(stub, method):
            break
    descriptor = methods()[method]
    argument = iter([request]) if descriptor.client_streaming else request
    answer = getattr(stub, method)(argument, timeout=20)
    if descriptor.server_streaming:
        return await anext(aiter(answer))
    return await answer


@pytest.fixture
async def refuse(serve, refusal):
    """Send a request that must be refused; answer the refusal."""

    async def send(method, request):
        async with serve() as served:
            with pytest.raises(grpc.aio.AioRpcError) as raised:
                await call(served, method, request)
        return refusal(raised.value)

    return send


@pytest.mark.parametrize("row", ROWS, ids=str)
async def test_a_wrong_field_is_named(refuse, row):
    refused = await refuse(row.method, filled(row.method, row))
    assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
    assert row.named in refused.violations
    assert refused.violations[row.named]
    assert refused.info.reason in {"INVALID_REQUEST", "RESUME_TOKEN_INVALID"}
    assert refused.message


@pytest.mark.parametrize("row", CREATE, ids=str)
async def test_in_a_batch_the_field_is_named_from_the_batch_down(serve, refusal, row):
    good = pb.CreateInstanceRequest(task="echo")
    wrong = filled("CreateInstance", row)
    async with serve() as served:
        answer = await served.instances.BatchCreateInstances(
            pb.BatchCreateInstancesRequest(requests=[good, wrong, good])
        )
        batch = pb.StreamCreateInstancesRequest(requests=[good, wrong, good])
        streamed = await anext(aiter(served.instances.StreamCreateInstances(iter([batch]))))
    kinds = [result.WhichOneof("result") for result in answer.results]
    assert kinds == ["instance", "error", "instance"]
    refused = refusal(answer.results[1].error)
    assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
    assert f"requests[1].{row.named}" in refused.violations
    assert [bool(id) for id in streamed.ids] == [True, False, True]
    (failure,) = streamed.failures
    assert failure.index == 1
    assert failure.error == answer.results[1].error


@pytest.mark.parametrize("field", ["filter", "due"])
async def test_what_concerns_several_fields_names_one_of_them(refuse, field):
    if field == "filter":
        request = pb.ListInstancesRequest()
        request.filter.start_time.seconds = request.filter.end_time.seconds = 5
        refused = await refuse("ListInstances", request)
        assert refused.violations == {"filter.end_time": "end_time must be after start_time"}
    else:
        refused = await refuse("RescheduleInstance", pb.RescheduleInstanceRequest(id="a"))
        assert refused.violations == {"due": "set execution_time or delay"}


async def test_all_wrong_fields_are_named_at_once(refuse):
    request = pb.CreateInstanceRequest(id="-", task="", delivery=7, labels={" ": "\0"})
    refused = await refuse("CreateInstance", request)
    assert set(refused.violations) == {"id", "task", "delivery", 'labels[" "]'}


async def test_a_flood_of_wrong_items_is_refused_at_once(refuse):
    refused = await refuse(
        "ListInstances", pb.ListInstancesRequest(filter=pb.InstanceFilter(tasks=[""] * 1_000_000))
    )
    assert refused.violations == {"filter.tasks": "must hold at most 100; it holds 1000000"}


#: A tag cut short; a length beyond the end; text that is not UTF-8 (where there is a text).
GARBAGE = [
    *((method, data) for method in methods() for data in (b"\xff", b"\x0a\xff\xff\xff\xff\x0f")),
    *((method, b"\x0a\x02\xc3\x28") for method in ("GetInstance", "CreateInstance", "GetTask")),
]


@pytest.mark.parametrize(("method", "data"), GARBAGE)
async def test_bytes_that_are_no_message_are_a_wrong_request(serve, refusal, method, data):
    descriptor = methods()[method]
    path = f"/{descriptor.containing_service.full_name}/{method}"
    async with serve() as served:
        kind = f"{'stream' if descriptor.client_streaming else 'unary'}_" + (
            "stream" if descriptor.server_streaming else "unary"
        )
        make = getattr(served.channel, kind)
        multicallable = make(path, request_serializer=bytes, response_deserializer=bytes)
        answer = multicallable(iter([data]) if descriptor.client_streaming else data, timeout=20)
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await (anext(aiter(answer)) if descriptor.server_streaming else answer)
    refused = refusal(raised.value)
    assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
    assert list(refused.violations) == ["request"]
