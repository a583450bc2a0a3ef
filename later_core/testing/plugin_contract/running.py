"""Runs succeed, alone, at the same time and on a node, and what is called afterwards raises nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, MutableMapping
from datetime import timedelta
from typing import Any

from structlog.testing import capture_logs

from later_core.engine.invocation import Invocation
from later_core.engine.shares import Shares
from later_core.model.instance import Instance, InstanceError, NewInstance
from later_core.model.outcome import Succeeded
from later_core.model.state import State
from later_core.plugin.task import Task
from later_core.ports.clock import SystemClock
from later_core.testing.node import TravellingNode, node
from later_core.testing.plugin_contract.subject import Parameters, Subject, said
from later_core.testing.tasks import a_context, run_task

_ERROR = InstanceError(reason="BROKEN", message="it broke")


class RunningContract(Subject):
    """What the examples are run for."""

    async def test_every_example_succeeds(self) -> None:
        async with self.installed() as catalog:
            for task, parameters in self.runs(catalog):
                failure = await _failure(task, parameters, self.patience)
                assert not failure, failure

    async def test_runs_at_the_same_time_do_not_disturb_each_other(self) -> None:
        """One object serves all instances: what it keeps of a run on itself gets mixed up."""
        async with self.installed() as catalog:
            twice = [run for run in self.runs(catalog) for _ in range(2)]
            async with asyncio.TaskGroup() as group:
                runs = [group.create_task(_failure(*each, self.patience)) for each in twice]
            failures = [failure for run in runs if (failure := run.result())]
            assert not failures, "; ".join(failures)

    async def test_on_a_node_every_example_succeeds(self) -> None:
        async with self.installed() as catalog:
            wanted = [(task, parameters) for task, parameters in self.runs(catalog)]
        with capture_logs() as lines:
            async with node(plugin=self.plugin, plugin_settings=self.settings) as later:
                ended = [await self._run_on(later, *each) for each in wanted]
        unlike = [
            f"{said(task, parameters)} is {found.state.value}: {found.error}"
            for (task, parameters), found in zip(wanted, ended, strict=True)
            if found.state is not State.SUCCEEDED
        ]
        assert not unlike, "; ".join(unlike)
        raised = _raised(lines)
        assert not raised, "; ".join(raised)

    async def _run_on(self, later: TravellingNode, task: Task, parameters: Parameters) -> Instance:
        """The instance when it has ended, or when it has taken too long."""
        content = a_context(task, parameters).parameters
        created = await later.instances.create(NewInstance(task=task.name, parameters=content))
        await later.travel(timedelta(seconds=1))
        real = SystemClock()
        until = real.monotonic() + self.patience
        while not (found := await later.instances.get(created.id)).state.is_final:
            if real.monotonic() > until:
                break
            await real.sleep(0.001)
            await later.clock.settle()
        return found

    async def test_its_callbacks_raise_nothing(self) -> None:
        async with self.installed() as catalog:
            with capture_logs() as lines:
                for task in (each.task for each in catalog.installed):
                    for parameters in self.examples_of(task) if self.runs_examples else ():
                        await _call_back(task, parameters)
        raised = _raised(lines)
        assert not raised, "; ".join(raised)


async def _failure(task: Task, parameters: Parameters, patience: float) -> str:
    """What a run came to, other than a success with its whole result."""
    try:
        async with asyncio.timeout(patience):
            outcome = await run_task(task, parameters)
    except TimeoutError:  # what a task raises is an outcome
        return f"{said(task, parameters)} does not end within {patience:g} s"
    if isinstance(outcome, Succeeded):
        return f"{said(task, parameters)}: {outcome.note}" if outcome.note else ""
    return f"{said(task, parameters)} fails: {outcome.error.reason}: {outcome.error.message}"


async def _call_back(task: Task, parameters: Parameters) -> None:
    with Shares(limit=1) as threads:
        invocation = Invocation(threads)
        context = a_context(task, parameters)
        await invocation.callback(task.on_success, context, b"")
        await invocation.callback(task.on_fail, context, _ERROR)
        await invocation.callback(task.on_abort, context)
        # An instance that was aborted before it ever started.
        await invocation.callback(task.on_abort, a_context(task, parameters, attempt=0))


def _raised(lines: Iterable[MutableMapping[str, Any]]) -> list[str]:
    """What the log says of callbacks that raised."""
    return [
        f"{line['callback']} of task {line['task']!r} raised in attempt {line['attempt']}"
        for line in lines
        if line["event"] == "callback failed"
    ]
