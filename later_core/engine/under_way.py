"""The attempts and callbacks that are under way on this node, each in an asyncio task of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Self

from later_core.model.instance import Instance


class UnderWay:
    """Owns these tasks; knows which instance each is about, and when there are none."""

    def __init__(self) -> None:
        self._group = asyncio.TaskGroup()
        self._instances: dict[asyncio.Task[None], Instance] = {}
        #: Set while no attempt and no callback is under way.
        self.is_quiet = asyncio.Event()
        self.is_quiet.set()

    def __len__(self) -> int:
        return len(self._instances)

    async def __aenter__(self) -> Self:
        await self._group.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Wait for every one of them, whatever happened outside."""
        await self._group.__aexit__(None, None, None)

    def begin(self, work: Coroutine[Any, Any, None], instance: Instance) -> asyncio.Task[None]:
        """Let it run; never waits."""
        task = self._group.create_task(work)
        self._instances[task] = instance
        self.is_quiet.clear()
        task.add_done_callback(self._note_end)
        return task

    def cancel(self) -> None:
        """Tell every one to end."""
        for task in tuple(self._instances):
            task.cancel()

    def names(self) -> list[str]:
        """Some of what is under way, by task and instance."""
        return sorted(map(self.name_of, self._instances))[:20]

    def name_of(self, task: asyncio.Task[Any]) -> str:
        """What a person calls it: the task and the instance of a run.

        Made when somebody asks, since a name for each run costs more than the run of a small task.
        """
        instance = self._instances.get(task)
        return task.get_name() if instance is None else f"{instance.task} {instance.id}"

    def _note_end(self, task: asyncio.Task[None]) -> None:
        del self._instances[task]
        if not self._instances:
            self.is_quiet.set()
