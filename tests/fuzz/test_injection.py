"""Text that means something to MongoDB, to Python, to a shell, in every field: taken as text, or refused."""

from __future__ import annotations

import json
import uuid

import grpc
import pytest
from hypothesis import settings

from later_core.rpc.v1 import later_pb2 as pb

from .calls import FAULTS, METHODS, ask, put, right, texts
from .conftest import SECONDS

PAYLOADS = [
    *(
        "$where",
        "$gt",
        '{"$gt": ""}',
        "[$ne]=1",
        "$expr",
        "a.b",
        "a.$",
        ".",
        "$",
        "$$ROOT",
        "$task",
    ),
    *("this.sleep(9999)", "';return true;//", "__proto__", "constructor", "__class__", "_id"),
    *(".*", "^w", "(a+)+$", "\\", "%00", "a\0b", "\0", "\uffff", "\ufeff", "\u202e", "\U0010ffff"),
    *("-1", "null", "true", "NaN", "9" * 400, "../../etc/passwd", "$(reboot)", "{0.__class__}"),
    *("a\r\nb", "x" * 100_000, "canary*", "canary", "canary\0", " canary", "CANARY", "labels=1"),
]
#: In short, each field gets every fifth of them, and the next field the next fifth.
STRIDE = 1 if settings.default.max_examples > 1000 else 5
PLACES = [(method, path) for method in METHODS for path in texts(method.input_type)]


@pytest.fixture
def canaries(server):
    """An instance, its label and a schedule that nothing here may reach, change or show."""
    label = f"label-{uuid.uuid4().hex}"
    create = pb.CreateInstanceRequest(
        task="echo", parameters=b"secret", labels={"canary": label}, delay={"seconds": 90_000}
    )
    instance = server.instances.CreateInstance(create, timeout=SECONDS).instance
    schedule = server.schedules.CreateSchedule(
        pb.CreateScheduleRequest(
            spec={
                "task": "echo",
                "parameters": b"secret",
                "labels": {"canary": label},
                "rules": [{"cron": {"expression": "0 0 29 2 *"}}],
            }
        ),
        timeout=SECONDS,
    ).schedule

    def unchanged():
        get = server.instances.GetInstance(pb.GetInstanceRequest(id=instance.id), timeout=SECONDS)
        assert get.instance == instance
        found = server.schedules.GetSchedule(
            pb.GetScheduleRequest(id=schedule.id), timeout=SECONDS
        ).schedule
        assert (found.spec, found.revision) == (schedule.spec, schedule.revision)

    return {instance.id, schedule.id}, unchanged


def named_in(message):
    """The ids of what an answer shows."""
    found = set()
    for field, value in message.ListFields():
        if field.message_type is not None and not field.message_type.GetOptions().map_entry:
            for part in value if field.is_repeated else [value]:
                found |= named_in(part)
        elif field.name == "id":
            found.add(value)
    return found


def chooses(path):
    """Whether the field is a condition: with it nothing is found but what has just this text in it."""
    return path[0] == "filter" or path[-1] in ("id", "name") or path == ("page_token",)


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_no_text_in_any_field_is_more_than_text(server, canaries, method):
    ids, unchanged = canaries
    # The whole of a list may be shown; with a condition that is not met nothing may.
    shows = not any(field.name == "filter" for field in method.input_type.fields)
    for place, path in enumerate(texts(method.input_type)):
        for payload in PAYLOADS[place % STRIDE :: STRIDE]:
            request = right(method.input_type)
            if "filter" in path:
                request.ClearField("filter")
            put(request, path, payload)
            answer = ask(server.channel, method, request.SerializeToString())
            assert answer.code not in FAULTS, (path, payload, answer)
            if chooses(path) and not shows:
                for response in answer.responses:
                    assert not ids & named_in(response), (path, payload)
    unchanged()


def test_every_field_of_text_is_among_those(server):
    assert len(PLACES) > 100
    assert {("labels",), ("json",), ("id",), ("spec", "labels")} <= {path for _, path in PLACES}


def test_odd_labels_are_found_by_themselves_alone(server):
    """What may stand in a value of a label is a key to the instances that have it, and to no others."""
    run = uuid.uuid4().hex
    values = [p for p in PAYLOADS if len(p) <= 255 and not any(ord(c) < 32 for c in p)] + ["", "="]
    batch = pb.BatchCreateInstancesRequest()
    for value in values:
        batch.requests.add(
            task="echo", delay={"seconds": 90_000}, labels={"run": run, "odd": value}
        )
    created = server.instances.BatchCreateInstances(batch, timeout=SECONDS).results
    assert all(result.HasField("instance") for result in created)
    for value, result in zip(values, created, strict=True):
        asked = pb.ListInstancesRequest(filter={"labels": {"run": run, "odd": value}})
        found = server.instances.ListInstances(asked, timeout=SECONDS).instances
        assert [each.id for each in found] == [result.instance.id], value
        assert found[0].labels["odd"] == value


@pytest.mark.parametrize("key", ["$where", "a.", "=", "a=b", "_id", "a\0", "-a"])
def test_keys_of_labels_that_could_be_more_are_refused(server, key):
    asked = pb.CreateInstanceRequest(task="echo", labels={key: "x"})
    with pytest.raises(grpc.RpcError) as refused:
        server.instances.CreateInstance(asked, timeout=SECONDS)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize("key", ["a.b", "a.b.c", "a-b", "a_b", "constructor", "0", "a/b"])
def test_odd_keys_of_labels_are_found_by_themselves_alone(server, key):
    run = uuid.uuid4().hex
    asked = pb.CreateInstanceRequest(
        task="echo", delay={"seconds": 90_000}, labels={"run": run, key: "x"}
    )
    created = server.instances.CreateInstance(asked, timeout=SECONDS).instance
    for value, expected in (("x", [created.id]), ("y", []), ("", [])):
        filter = pb.InstanceFilter(labels={"run": run, key: value})
        found = server.instances.ListInstances(
            pb.ListInstancesRequest(filter=filter), timeout=SECONDS
        ).instances
        assert [each.id for each in found] == expected


@pytest.mark.parametrize(
    "id", ["__proto__", "_id", "constructor", "a.b", "a=b", "a@b", "0", "null"]
)
def test_odd_ids_name_themselves_alone(server, id):
    own = f"{uuid.uuid4().hex}.{id}" if not id.startswith("_") else f"{uuid.uuid4().hex}{id}"
    asked = pb.CreateInstanceRequest(id=own, task="echo", delay={"seconds": 90_000})
    assert server.instances.CreateInstance(asked, timeout=SECONDS).instance.id == own
    for near in (own[:-1], own + "x", own.upper(), f"^{own}$", own.replace(".", "*")):
        if near != own:
            with pytest.raises(grpc.RpcError) as refused:
                server.instances.AbortInstance(pb.AbortInstanceRequest(id=near), timeout=SECONDS)
            assert refused.value.code() is grpc.StatusCode.NOT_FOUND
    aborted = server.instances.AbortInstance(pb.AbortInstanceRequest(id=own), timeout=SECONDS)
    assert aborted.instance.state == pb.STATE_ABORTED


def test_operators_in_json_are_kept_as_they_are(server):
    asked = pb.CreateInstanceRequest(task="echo", delay={"seconds": 90_000})
    said = {"$where": "1", "a.b": {"$gt": ""}, "__proto__": {"x": "y"}, "\uffff": ["$set"], "": "e"}
    asked.json.update(said)
    created = server.instances.CreateInstance(asked, timeout=SECONDS).instance
    got = server.instances.GetInstance(
        pb.GetInstanceRequest(id=created.id), timeout=SECONDS
    ).instance
    assert json.loads(got.parameters) == said
