"""What is told of an attempt: how late it was, and all the rest to an observer, if there is one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from later_core.engine.invocation import Invocation
from later_core.local.lateness import LatenessRecord
from later_core.local.runs import Run, Stop
from later_core.model.outcome import Ending, Failed, Outcome
from later_core.model.state import State
from later_core.plugin.context import Context
from later_core.plugin.task import Task
from later_core.ports.observer import Observer


class Telling:
    """Stands between the runner and an observer that may not be there."""

    def __init__(self, *, lateness: LatenessRecord, observer: Observer | None) -> None:
        self._lateness = lateness
        self._observer = observer

    async def call(
        self,
        invocation: Invocation,
        task: Task,
        run: Run,
        context: Context,
        began: Callable[[], None],
        ended: Callable[[], None] | None,
    ) -> Outcome:
        """Call the task's code; where somebody traces, as a span that the context names."""
        if self._observer is None:
            return await invocation.run(task, context, began, ended)
        with self._observer.run(run.instance) as span:
            context.trace_parent = span.trace_parent or context.trace_parent
            try:
                outcome = await invocation.run(task, context, began, ended)
            except asyncio.CancelledError:
                span.fail(run.stop_reason.name if run.stop_reason else "CANCELLED", "stopped")
                raise
            if isinstance(outcome, Failed):
                span.fail(outcome.error.reason, outcome.error.message)
            return outcome

    def started(self, run: Run, late_seconds: float) -> None:
        """The code begins with the next statement."""
        self._lateness.add(late_seconds)
        if self._observer is not None:
            self._observer.started(run.instance.task, late_seconds)

    def ended(self, run: Run, ending: Ending | None) -> None:
        """The end is durable; None: it was refused, as that of an attempt that was aborted is."""
        if self._observer is None:
            return
        if ending is not None:
            self._observer.ended(run.instance.task, ending.state)
        elif run.stop_reason is Stop.ABORTED:
            self._observer.ended(run.instance.task, State.ABORTED)
