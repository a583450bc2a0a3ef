"""What a plugin says about its tasks reaches every client, or is left out: it hides no other task."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from later_core.catalog.inspection import check_tasks
from later_core.client.tasks import from_task
from later_core.model.breaker import Breaker
from later_core.model.limits import SCHEMA_MAX_DEPTH
from later_core.model.task_limits import NO_LIMITS, TaskLimits
from later_core.ports.tasks import InstalledTask
from later_core.rpc.convert_inventory import to_task
from later_core.rpc.v1 import later_pb2 as pb
from later_core.testing.tasks import RecordingTask


def heard(schema):
    """The task as a client hears of it."""
    task = RecordingTask()
    task.parameters_schema = schema
    (checked,) = check_tasks([task])
    installed = InstalledTask(task=checked, distribution="later-test", version="0")
    said = pb.ListTasksResponse(tasks=[to_task(installed)]).SerializeToString()
    return pb.ListTasksResponse.FromString(said).tasks[0]


def test_the_deepest_schema_that_a_plugin_may_have_is_heard():
    depth = SCHEMA_MAX_DEPTH
    assert heard(json.loads('{"a":' * depth + "1" + "}" * depth)).HasField("parameters_schema")


@pytest.mark.parametrize("schema", [{"a": 10**400}, {"a": "\ud800"}, {1: 2}])
def test_a_schema_that_the_wire_cannot_carry_is_left_out(schema):
    task = heard(schema)
    assert task.name == "record"
    assert not task.HasField("parameters_schema")


LIMITS = TaskLimits(
    time=timedelta(minutes=5),
    concurrency=4,
    breaker=Breaker(crashes=5, within=timedelta(minutes=1), cool_down=timedelta(seconds=30)),
)


@pytest.mark.parametrize(
    "limits",
    [
        NO_LIMITS,
        LIMITS,
        TaskLimits(time=timedelta(seconds=1.5)),
        TaskLimits(concurrency=1),
        TaskLimits(breaker=LIMITS.breaker),
    ],
    ids=str,
)
def test_the_limits_in_force_reach_the_client(limits: TaskLimits) -> None:
    installed = InstalledTask(
        task=RecordingTask(), distribution="later-test", version="0", limits=limits
    )
    told = from_task(pb.Task.FromString(to_task(installed).SerializeToString()))
    assert told.limits == limits
    assert not told.is_breaker_open


def test_an_open_breaker_is_told() -> None:
    installed = InstalledTask(task=RecordingTask(), distribution="later-test", version="0")
    assert from_task(to_task(installed, is_breaker_open=True)).is_breaker_open
