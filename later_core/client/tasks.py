"""What a server says about its plugins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from google.protobuf.json_format import MessageToDict

from later_core.model.rate import RateLimit
from later_core.model.task_limits import NO_LIMITS, TaskLimits
from later_core.ports.tasks import RejectedPlugin
from later_core.rpc.convert_inventory import from_limits, from_rate_limit
from later_core.rpc.v1 import later_pb2 as pb


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskInfo:
    """A task that the server can run, and the distribution that provides it.

    ``parameters_schema`` is JSON Schema, None where the task declares none; ``rate_limit`` the one in force,
    None where it may start as often as it is due. ``limits`` is what it may take of the node that answered,
    ``is_breaker_open`` whether that one leaves it alone for a while.
    """

    name: str
    description: str
    distribution: str
    version: str
    parameters_schema: Mapping[str, Any] | None = None
    rate_limit: RateLimit | None = None
    limits: TaskLimits = NO_LIMITS
    is_breaker_open: bool = False


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
        rate_limit=from_rate_limit(message.rate_limit) if message.HasField("rate_limit") else None,
        limits=from_limits(message.limits),
        is_breaker_open=message.is_breaker_open,
    )
