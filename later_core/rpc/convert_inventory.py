"""Tasks, plugins, nodes and figures: values <-> protobuf."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from google.protobuf.struct_pb2 import Struct

from later_core.model.breaker import Breaker
from later_core.model.node import ListedNode, Node, NodeStatus
from later_core.model.query import Counts
from later_core.model.rate import RateLimit
from later_core.model.stats import Lateness, Stats
from later_core.model.task_limits import NO_LIMITS, TaskLimits
from later_core.ports.tasks import InstalledTask, RejectedPlugin
from later_core.rpc import json_text
from later_core.rpc.convert import FROM_STATE, TO_STATE
from later_core.rpc.times import exact_duration, from_timestamp, to_duration, to_timestamp
from later_core.rpc.v1 import later_pb2 as pb


def to_task(installed: InstalledTask, *, is_breaker_open: bool = False) -> pb.Task:
    """An installed task on the wire."""
    task = installed.task
    return pb.Task(
        name=task.name,
        description=task.description,
        distribution=installed.distribution,
        version=installed.version,
        parameters_schema=_schema(task.name, task.parameters_schema),
        rate_limit=_rate_limit(installed.rate_limit),
        limits=_limits(installed.limits),
        is_breaker_open=is_breaker_open,
    )


def _limits(limits: TaskLimits) -> pb.TaskLimits | None:
    if limits == NO_LIMITS:
        return None
    breaker = limits.breaker
    return pb.TaskLimits(
        time_limit=None if limits.time is None else to_duration(limits.time),
        concurrency_limit=limits.concurrency or 0,
        breaker=None if breaker is None else _breaker(breaker),
    )


def _breaker(breaker: Breaker) -> pb.Breaker:
    return pb.Breaker(
        crashes=breaker.crashes,
        within=to_duration(breaker.within),
        cool_down=to_duration(breaker.cool_down),
    )


def from_limits(message: pb.TaskLimits) -> TaskLimits:
    """The limits of a task that a server sent."""
    breaker = message.breaker
    return TaskLimits(
        time=exact_duration(message.time_limit) if message.HasField("time_limit") else None,
        concurrency=message.concurrency_limit or None,
        breaker=Breaker(
            crashes=breaker.crashes,
            within=exact_duration(breaker.within),
            cool_down=exact_duration(breaker.cool_down),
        )
        if message.HasField("breaker")
        else None,
    )


def _rate_limit(rate: RateLimit | None) -> pb.RateLimit | None:
    if rate is None:
        return None
    return pb.RateLimit(count=rate.count, per=to_duration(rate.per), burst=rate.burst)


def from_rate_limit(message: pb.RateLimit) -> RateLimit:
    """The rate limit that a server sent."""
    return RateLimit(count=message.count, per=exact_duration(message.per), burst=message.burst)


def _schema(task: str, schema: Mapping[str, Any] | None) -> Struct | None:
    """What an author wrote; where it is not JSON the task is shown without it."""
    if schema is None:
        return None
    try:
        return json_text.to_struct(schema)
    except (TypeError, ValueError, OverflowError) as error:  # the last: no double holds a number
        import structlog  # of the server; a client imports this too

        log = structlog.get_logger(__name__)
        log.warning("parameters schema is not json", task=task, error=str(error))
        return None


def to_rejected_plugin(rejected: RejectedPlugin) -> pb.RejectedPlugin:
    """A rejected plugin on the wire."""
    return pb.RejectedPlugin(
        name=rejected.name,
        distribution=rejected.distribution,
        version=rejected.version,
        reason=rejected.reason,
    )


def from_rejected_plugin(message: pb.RejectedPlugin) -> RejectedPlugin:
    """The rejected plugin that a server sent."""
    return RejectedPlugin(
        name=message.name,
        distribution=message.distribution,
        version=message.version,
        reason=message.reason,
    )


def to_stats(stats: Stats) -> pb.GetStatsResponse:
    """Figures on the wire."""
    by_state = stats.counts.by_state
    unresolved = stats.counts.unresolved
    return pb.GetStatsResponse(
        states=[
            pb.GetStatsResponse.StateCount(state=number, count=by_state.get(state, 0))
            for state, number in TO_STATE.items()
        ],
        unresolved_tasks=[
            pb.GetStatsResponse.UnresolvedTask(task=task, pending=unresolved[task])
            for task in sorted(unresolved)
        ],
        node=stats.node,
        version=stats.version,
        started_at=to_timestamp(stats.started_at),
        window_size=stats.window_size,
        running=stats.running,
        subscribers=stats.subscribers,
        lateness=pb.GetStatsResponse.Lateness(
            count=stats.lateness.count,
            p50=to_duration(stats.lateness.p50),
            p99=to_duration(stats.lateness.p99),
            max=to_duration(stats.lateness.max),
        ),
        tasks=stats.tasks,
    )


def from_stats(message: pb.GetStatsResponse) -> Stats:
    """The figures that a server sent."""
    return Stats(
        counts=Counts(
            by_state={FROM_STATE[count.state]: count.count for count in message.states},
            unresolved={task.task: task.pending for task in message.unresolved_tasks},
        ),
        node=message.node,
        version=message.version,
        started_at=from_timestamp(message.started_at, "started_at"),
        window_size=message.window_size,
        running=message.running,
        subscribers=message.subscribers,
        lateness=Lateness(
            count=message.lateness.count,
            p50=exact_duration(message.lateness.p50),
            p99=exact_duration(message.lateness.p99),
            max=exact_duration(message.lateness.max),
        ),
        tasks=tuple(message.tasks),
    )


def to_node(listed: ListedNode) -> pb.Node:
    """A node on the wire."""
    status, node = listed.status, listed.status.node
    return pb.Node(
        id=node.id,
        address=node.address,
        version=node.version,
        tasks=node.tasks,
        started_at=to_timestamp(node.started_at),
        beat_time=to_timestamp(status.beat_time),
        is_alive=status.is_alive,
        buckets=listed.buckets,
        window_size=node.window_size,
        running=node.running,
        is_asked_to_drain=status.is_asked_to_drain,
        is_draining=node.is_draining,
        is_drained=node.is_drained,
        clock_offset=None if node.clock_offset is None else to_duration(node.clock_offset),
        has_local_database=node.has_local_database,
    )


def from_node(message: pb.Node) -> ListedNode:
    """The node that a server sent."""
    node = Node(
        id=message.id,
        address=message.address,
        version=message.version,
        tasks=tuple(message.tasks),
        started_at=from_timestamp(message.started_at, "started_at"),
        window_size=message.window_size,
        running=message.running,
        is_draining=message.is_draining,
        is_drained=message.is_drained,
        clock_offset=(
            exact_duration(message.clock_offset) if message.HasField("clock_offset") else None
        ),
        has_local_database=message.has_local_database,
    )
    status = NodeStatus(
        node=node,
        beat_time=from_timestamp(message.beat_time, "beat_time"),
        is_alive=message.is_alive,
        is_asked_to_drain=message.is_asked_to_drain,
    )
    return ListedNode(status, message.buckets)
