"""What a plugin says about its tasks reaches every client, or is left out: it hides no other task."""

from __future__ import annotations

import json

import pytest

from later_core.catalog.inspection import check_tasks
from later_core.model.limits import SCHEMA_MAX_DEPTH
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
