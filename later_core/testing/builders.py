"""Values for tests: what a test does not care about has a sensible content."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from later_core.model.instance import Attempt, Instance, InstanceError, NewInstance
from later_core.model.node import Node
from later_core.model.outcome import Ending
from later_core.model.planning import progress_from
from later_core.model.recurrence.rules import IntervalRule
from later_core.model.schedule import Schedule, ScheduleSpec
from later_core.model.state import State

BROKEN = InstanceError(reason="BROKEN", message="it broke")


def an_instance(
    id: str = "one",
    *,
    execution_time: datetime,
    task: str = "echo",
    parameters: bytes = b"",
    **fields: Any,
) -> Instance:
    """A PENDING instance as a create makes it; any other field of Instance can be given."""
    fields.setdefault("create_time", execution_time)
    fields.setdefault("fingerprint", hashlib.sha256(task.encode() + b"\0" + parameters).digest())
    return Instance(
        id=id, task=task, parameters=parameters, execution_time=execution_time, **fields
    )


def an_attempt(number: int = 1, *, node: str = "node-a", end_time: Any, **fields: Any) -> Attempt:
    """An attempt that has ended; successfully, and without having begun, unless said otherwise."""
    fields.setdefault("start_time", None)
    return Attempt(number=number, node=node, end_time=end_time, **fields)


def a_schedule(
    id: str = "nightly",
    *,
    now: datetime,
    spec: ScheduleSpec | None = None,
    **fields: Any,
) -> Schedule:
    """A schedule as a create at ``now`` makes it, hourly unless said otherwise; any other field of
    Schedule can be given."""
    spec = spec or ScheduleSpec(
        template=NewInstance(task="echo"), rules=(IntervalRule(every=timedelta(hours=1)),)
    )
    fields.setdefault("progress", progress_from(spec, now))
    return Schedule(id=id, spec=spec, create_time=now, update_time=now, **fields)


def a_node(id: str = "node-a", *, tasks: Sequence[str] = ("echo",)) -> Node:
    """A node with these tasks installed."""
    return Node(
        id=id,
        address="127.0.0.1:9081",
        version="0.1.0",
        tasks=tuple(tasks),
        started_at=datetime(2030, 1, 1, tzinfo=UTC),
    )


def succeeded(running: Instance, *, at: datetime, result: bytes = b"done") -> Ending:
    """The attempt of this running instance succeeded at that instant."""
    return _ending(running, State.SUCCEEDED, at=at, result=result)


def failed(running: Instance, *, at: datetime, error: InstanceError = BROKEN) -> Ending:
    """The attempt of this running instance failed at that instant, and no other follows."""
    return _ending(running, State.FAILED, at=at, error=error)


def failed_for_now(
    running: Instance, *, at: datetime, next_time: datetime, error: InstanceError = BROKEN
) -> Ending:
    """The attempt of this running instance failed, and another is due at ``next_time``."""
    return _ending(running, State.PENDING, at=at, execution_time=next_time, error=error)


def _ending(running: Instance, state: State, *, at: datetime, **fields: Any) -> Ending:
    if running.node is None:
        raise ValueError(f"instance {running.id!r} was never claimed: there is no attempt to end")
    fields.setdefault("uncounted_attempts", running.uncounted_attempts)
    return Ending(
        id=running.id,
        node=running.node,
        attempt=running.attempt,
        state=state,
        start_time=running.start_time or at,
        end_time=at,
        **fields,
    )
