"""Tasks without a distribution: what a test wants to run."""

from __future__ import annotations

import difflib
from collections.abc import Awaitable, Callable, Sequence

from later_core.model.instance import InstanceError
from later_core.plugin.context import Context
from later_core.plugin.task import Task
from later_core.ports.tasks import InstalledTask, RejectedPlugin


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
    ) -> None:
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
