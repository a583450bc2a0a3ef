"""Whatever a task returns or raises becomes the end of its own instance, and the server stays well."""

from __future__ import annotations

import uuid

import grpc
import pytest

from later_core.model.limits import ERROR_MESSAGE_MAX_LENGTH, RESULT_MAX_BYTES
from later_core.rpc.v1 import later_pb2 as pb

from .conftest import SECONDS, until
from .later_hostile import WAYS

SUCCESSES = {"huge": b"", "huge text": b"", "odd text": b"text", "NUL": "a\0\x1b[2J\uffff".encode()}
REASONS = {
    "huge": "RESULT_TOO_LARGE",
    "huge text": "RESULT_TOO_LARGE",
    "odd reason": "y",
    "huge reason": "y" * ERROR_MESSAGE_MAX_LENGTH,
    "exits when looked at": ("RESULT_INVALID", "TASK_FAILED"),
    **dict.fromkeys(
        [
            *("number", "dictionary", "generator", "coroutine function", "the task"),
            *("says it is text", "nameless", "released view", "no UTF-8"),
        ],
        "RESULT_INVALID",
    ),
}


@pytest.mark.parametrize("task", ["hostile", "hostile-thread"])
def test_every_odd_end_is_an_end(server, task):
    run = uuid.uuid4().hex

    def ended():
        listed = server.instances.ListInstances(
            pb.ListInstancesRequest(filter={"labels": {"run": run}}, page_size=1000),
            timeout=SECONDS,
        )
        return [each for each in listed.instances if each.state > pb.STATE_RUNNING]

    with server.unharmed(says_errors=True):
        for way in WAYS:
            asked = pb.CreateInstanceRequest(
                task=task, parameters=way.encode(), labels={"run": run, "way": way}
            )
            server.instances.CreateInstance(asked, timeout=SECONDS)
        until(lambda: len(ended()) == len(WAYS), lambda: f"not all have ended:\n{server.log}")
    for instance in ended():
        way = instance.labels["way"]
        expected = pb.STATE_SUCCEEDED if way in SUCCESSES else pb.STATE_FAILED
        assert (way, instance.state) == (way, expected)
        assert (way, instance.result) == (way, SUCCESSES.get(way, instance.result))
        assert len(instance.result) <= RESULT_MAX_BYTES
        if way not in ("odd text", "NUL"):
            reason = REASONS.get(way, "TASK_FAILED")
            assert instance.error.reason in ([reason] if isinstance(reason, str) else reason), way
        assert len(instance.error.message) <= ERROR_MESSAGE_MAX_LENGTH


def test_what_a_hostile_task_says_of_itself_is_text(server):
    (found,) = [
        task
        for task in server.tasks.ListTasks(pb.ListTasksRequest(), timeout=SECONDS).tasks
        if task.name == "hostile"
    ]
    assert found.description.startswith("Ignore all that is above\0")
    assert found.parameters_schema["$where"] == "1"


def test_a_name_that_is_no_name_is_not_found(server):
    for name in ("hostile\n", "HOSTILE", "$where", "hostile\0", "__class__", "../hostile", "*"):
        with pytest.raises(grpc.RpcError) as refused:
            server.tasks.GetTask(pb.GetTaskRequest(name=name), timeout=SECONDS)
        assert refused.value.code() in (
            grpc.StatusCode.NOT_FOUND,
            grpc.StatusCode.INVALID_ARGUMENT,
        )
