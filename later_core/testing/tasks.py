"""Tasks without a distribution: what a test wants to run."""

from __future__ import annotations

import difflib
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

import structlog

from later_core.engine.invocation import Invocation
from later_core.engine.shares import Shares
from later_core.model.instance import Instance, InstanceError
from later_core.model.outcome import Outcome
from later_core.model.state import State
from later_core.plugin.context import Context
from later_core.plugin.task import Task
from later_core.ports.clock import SystemClock
from later_core.ports.tasks import InstalledTask, RejectedPlugin


async def run_task(
    task: Task,
    parameters: bytes | str | Mapping[str, Any] = b"",
    *,
    id: str = "one",
    attempt: int = 1,
    timeout: timedelta | None = None,
    trace_parent: str | None = None,
) -> Outcome:
    """One attempt of one task, called as a node calls it, without a node.

    A mapping is given as JSON; ``trace_parent`` is what the context says of the trace. Answers
    ``Succeeded`` with the result, or ``Failed`` with the reason and whether a retry may follow. A plain
    function has a thread; nobody stops it at ``timeout``.
    """
    context = a_context(
        task, parameters, id=id, attempt=attempt, timeout=timeout, trace_parent=trace_parent
    )
    with Shares(limit=1) as threads:
        return await Invocation(threads).run(task, context, lambda: None)


def a_context(
    task: Task,
    parameters: bytes | str | Mapping[str, Any] = b"",
    *,
    id: str = "one",
    attempt: int = 1,
    timeout: timedelta | None = None,
    trace_parent: str | None = None,
) -> Context:
    """What a task is told about an attempt that begins now. A mapping is given as JSON."""
    if isinstance(parameters, Mapping):
        parameters = json.dumps(dict(parameters))
    now = SystemClock().now()
    instance = Instance(
        id=id,
        task=task.name,
        parameters=parameters.encode() if isinstance(parameters, str) else parameters,
        execution_time=now,
        create_time=now,
        state=State.RUNNING,
        attempt=attempt,
        timeout=timeout,
        trace_parent=trace_parent,
    )
    deadline = now + timeout if timeout is not None else None
    return Context(instance=instance, deadline=deadline, log=structlog.get_logger(task.name))


class GivenTasks:
    """The Tasks port over the tasks of a test."""

    def __init__(self, *tasks: Task) -> None:
        self._installed = {
            task.name: InstalledTask(task=task, distribution="later-test", version="0")
            for task in tasks
        }

    @property
    def rejected(self) -> Sequence[RejectedPlugin]:
        return ()

    def get(self, name: str) -> InstalledTask | None:
        return self._installed.get(name)

    def names(self) -> Sequence[str]:
        return sorted(self._installed)

    def nearest(self, name: str) -> Sequence[str]:
        return difflib.get_close_matches(name, self._installed)


class RecordingTask(Task):
    """Remembers every call in order, as (what, instance id, attempt); runs ``body`` if it has one."""

    name = "record"
    description = "Remembers its calls."

    def __init__(
        self,
        body: Callable[[Context], Awaitable[bytes | str | None]] | None = None,
        *,
        name: str = "record",
        permission: str = "",
    ) -> None:
        self.permission = permission  # type: ignore[misc] # as the name
        self.name = name  # type: ignore[misc] # each object of a test may bear another name
        self._body = body
        self.calls: list[tuple[str, str, int]] = []
        self.errors: list[InstanceError] = []

    def called(self, what: str) -> list[str]:
        """The ids of the instances for which this was called, in order."""
        return [id for call, id, _ in self.calls if call == what]

    async def run(self, context: Context) -> bytes | str | None:
        self._note("run", context)
        return await self._body(context) if self._body is not None else context.parameters

    async def on_success(self, context: Context, result: bytes) -> None:
        self._note("on_success", context)

    async def on_fail(self, context: Context, error: InstanceError) -> None:
        self.errors.append(error)
        self._note("on_fail", context)

    async def on_abort(self, context: Context) -> None:
        self._note("on_abort", context)

    def _note(self, what: str, context: Context) -> None:
        self.calls.append((what, context.instance.id, context.attempt))
