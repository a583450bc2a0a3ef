"""Each field of each request, wrong in each way, is refused with INVALID_ARGUMENT that names it.

The table is checked against the descriptors: a new field without a row here fails.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import grpc
import pytest
from google.protobuf.descriptor import FieldDescriptor

from later_core.rpc.v1 import later_pb2 as pb

SERVICES = pb.DESCRIPTOR.services_by_name


@dataclass(frozen=True)
class Wrong:
    """One wrong value: where (a path of field names), what is set there, which path is named."""

    field: str
    value: object
    named: str
    method: str = ""

    def __str__(self) -> str:
        value = repr(self.value)
        return f"{self.method}-{self.field}-{value if len(value) < 30 else value[:30]}"


LONG = "x" * 129
TIMES = [
    {"seconds": 0, "nanos": -1},
    {"seconds": 0, "nanos": 10**9},
    {"seconds": 253_402_300_800},
    {"seconds": 2**63 - 1},
    {"seconds": -(2**63)},
]
NOT_SCHEDULABLE = [*TIMES, {"seconds": -1}, {"seconds": 221_845_392_000}]
MALFORMED_SPANS = [
    {"seconds": 1, "nanos": -1},
    {"seconds": 1, "nanos": 10**9},
    {"seconds": 3_153_600_001},
    {"seconds": 2**63 - 1},
    {"seconds": -(2**63)},
    {"seconds": 1, "nanos": -(2**31)},
]
NEGATIVE_SPANS = [*MALFORMED_SPANS, {"seconds": -1}, {"nanos": -1}]
TOO_SHORT_SPANS = [*NEGATIVE_SPANS, {}, {"nanos": 999_999}]
IDS = ["", LONG, "a\0b", "a\nb", "\x7f", "\x85"]


def rows(field, values, named=None):
    return [Wrong(field, value, named or field) for value in values]


DUE = [*rows("execution_time", NOT_SCHEDULABLE), *rows("delay", NEGATIVE_SPANS)]

CREATE = [
    *rows("id", [LONG, "-a", "a b", "ä", "a\n", "a\0", ".", "$x"]),
    *rows("task", ["", LONG, " ", "\u2003 ", "a\0b", "a\nb", "\x1b[2J"]),
    *rows("parameters", [b"x" * (1024 * 1024 + 1)]),
    *rows("json", [{"a": math.nan}, {"a": math.inf}], 'json["a"]'),
    *rows("json", [{"a": [{"b c": -math.inf}]}], 'json["a"][0]["b c"]'),
    *rows("json", [{"a": "x" * (1024 * 1024)}], "json"),
    *DUE,
    *rows("retry.max_attempts", [-1, 1001, 2**31 - 1]),
    *rows("retry.min_backoff", NEGATIVE_SPANS),
    *rows("retry.min_backoff", [{"seconds": 3601}]),
    *rows("retry.max_backoff", NEGATIVE_SPANS),
    *rows("retry.max_backoff", [{"nanos": 999_000_000}]),
    *rows("retry.multiplier", [0.5, -1.0, 100.1, math.nan, math.inf, -math.inf, 1e-320]),
    *rows("timeout", TOO_SHORT_SPANS),
    *rows("start_deadline", TOO_SHORT_SPANS),
    *rows("delivery", [3, -1, 2**31 - 1]),
    *rows("labels", [{f"k{n}": "" for n in range(33)}]),
    *rows("labels", [{"": "x"}], 'labels[""]'),
    *rows("labels", [{"k" * 64: "x"}], f'labels["{"k" * 64}"]'),
    *rows("labels", [{"a b": "x"}], 'labels["a b"]'),
    *rows("labels", [{"$where": "x"}], 'labels["$where"]'),
    *rows("labels", [{"k.": "x"}], 'labels["k."]'),
    *rows("labels", [{'"': "x"}], r'labels["\""]'),
    *rows("labels", [{"k": "x" * 256}, {"k": "a\0"}, {"k": "a\nb"}], 'labels["k"]'),
]
FILTER = [
    *rows("filter.states", [[0], [6], [-1]], "filter.states[0]"),
    *rows("filter.states", [[1] * 6], "filter.states"),
    *rows("filter.tasks", [["ok", ""], ["ok", LONG], ["ok", "a\0"]], "filter.tasks[1]"),
    *rows("filter.tasks", [["x"] * 101], "filter.tasks"),
    *rows("filter.start_time", TIMES),
    *rows("filter.end_time", TIMES),
    *rows("filter.labels", [{"": "x"}], 'filter.labels[""]'),
    *rows("filter.labels", [{"$where": "x"}], 'filter.labels["$where"]'),
    *rows("filter.labels", [{"k": "x" * 256}, {"k": "\0"}], 'filter.labels["k"]'),
    *rows("filter.labels", [{f"k{n}": "" for n in range(33)}], "filter.labels"),
    *rows("filter.schedule_id", [LONG, "\0"]),
]
BATCH = rows("requests", [[], [{}] * 1001])

TABLE = {
    "CreateInstance": CREATE,
    "BatchCreateInstances": BATCH,
    "StreamCreateInstances": BATCH,
    "GetInstance": rows("id", IDS),
    "ListInstances": [
        *FILTER,
        *rows("page_size", [-1, 1001, 2**31 - 1]),
        *rows("page_token", ["x", "x" * 1025, "ä", "\0", "MTcuaWQ="]),
    ],
    "AbortInstance": rows("id", IDS),
    "RescheduleInstance": [*rows("id", IDS), *DUE, *rows("revision", [-1, -(2**63)])],
    "RetryInstance": [*rows("id", IDS), *DUE],
    "WatchInstances": [
        *FILTER,
        *rows("resume_token", ["x", "x" * 4097, "ä", "\0"]),
        *rows("include_existing", [True]),
    ],
    "ListTasks": [],
    "GetTask": rows("name", ["", LONG, "a\0b"]),
    "GetStats": [],
    "ListNodes": [],
    "DrainNode": rows("id", ["", "x" * 256, "a\0b", "a\nb"]),
}
ROWS = [
    Wrong(row.field, row.value, row.named, method)
    for method, wrongs in TABLE.items()
    for row in wrongs
]

#: What makes a request right but for the field under test.
RIGHT = {
    "CreateInstance": {"task": "echo"},
    "GetInstance": {"id": "a"},
    "AbortInstance": {"id": "a"},
    "RescheduleInstance": {"id": "a", "execution_time": {"seconds": 1}},
    "RetryInstance": {"id": "a"},
    "GetTask": {"name": "echo"},
}


def methods():
    return {method.name: method for service in SERVICES.values() for method in service.methods}


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
    assert {row.field for row in TABLE[method]} == set(leaves(methods()[method].input_type))


def filled(method, row):
    request = getattr(pb, methods()[method].input_type.name)()
    fields = dict(RIGHT.get(method, {}))
    if row.field == "include_existing":
        fields["resume_token"] = "token"
    if row.field == "filter.end_time":
        put(request, "filter.start_time", {"seconds": 1})
    for name, value in fields.items():
        put(request, name, value)
    put(request, row.field, row.value)
    return request


def put(message, path, value):
    *parents, name = path.split(".")
    for parent in parents:
        message = getattr(message, parent)
    field: FieldDescriptor = message.DESCRIPTOR.fields_by_name[name]
    if name == "json":
        message.json.update(value)
    elif name == "requests":
        message.requests.extend(pb.CreateInstanceRequest(**item) for item in value)
    elif field.message_type is not None and field.message_type.GetOptions().map_entry:
        getattr(message, name).update(value)
    elif field.is_repeated:
        getattr(message, name).extend(value)
    elif field.message_type is not None:
        getattr(message, name).CopyFrom(field.message_type._concrete_class(**value))
    else:
        setattr(message, name, value)


async def call(served, method, request):
    """Call the method once; streams until their first response."""
    for stub in (served.instances, served.tasks, served.admin):
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
