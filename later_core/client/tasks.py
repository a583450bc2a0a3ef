"""What a server says about its plugins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from google.protobuf.json_format import MessageToDict

from later_core.ports.tasks import RejectedPlugin
from later_core.rpc.v1 import later_pb2 as pb


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskInfo:
    """A task that the server can run, and the distribution that provides it.

    ``parameters_schema`` is JSON Schema, None where the task declares none.
    """

    name: str
    description: str
    distribution: str
    version: str
    parameters_schema: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskList:
    """Every task in order of name, and the plugins that were found and are not used."""

    tasks: Sequence[TaskInfo]
    rejected: Sequence[RejectedPlugin]


def from_task(message: pb.Task) -> TaskInfo:
    """The task that a server sent."""
    return TaskInfo(
        name=message.name,
        description=message.description,
        distribution=message.distribution,
        version=message.version,
        parameters_schema=(
            MessageToDict(message.parameters_schema)
            if message.HasField("parameters_schema")
            else None
        ),
    )
