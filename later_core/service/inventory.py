"""What there is: tasks, rejected plugins, figures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from later_core.errors import TaskNotFound
from later_core.local.caller import caller
from later_core.local.hub import Hub
from later_core.local.lateness import LatenessRecord
from later_core.local.lease import Lease
from later_core.local.runs import Runs
from later_core.local.window import Window
from later_core.model.stats import Stats
from later_core.ports.store import Store
from later_core.ports.tasks import InstalledTask, RejectedPlugin, Tasks


class Inventory:
    """Answers from the catalog, the store's rows and this node's memory."""

    def __init__(  # noqa: PLR0913 - one for each thing that is told
        self,
        *,
        store: Store,
        tasks: Tasks,
        window: Window,
        runs: Runs,
        hub: Hub,
        lease: Lease,
        lateness: LatenessRecord,
        version: str,
        started_at: datetime,
        is_breaker_open: Callable[[str], bool] = lambda _: False,
    ) -> None:
        self._store = store
        self._tasks = tasks
        self._window = window
        self._runs = runs
        self._hub = hub
        self._lease = lease
        self._lateness = lateness
        #: Whether this node leaves the task of this name alone for a while.
        self.is_breaker_open = is_breaker_open
        self._version = version
        self._started_at = started_at

    def tasks(self) -> Sequence[InstalledTask]:
        """Every installed task, in order of name."""
        return [self.task(name) for name in self._tasks.names()]

    def task(self, name: str) -> InstalledTask:
        """One task.

        Raises:
            TaskNotFound: with the nearest names.
        """
        task = self._tasks.get(name)
        if task is None:
            raise TaskNotFound(name, self._tasks.nearest(name))
        return task

    def rejected(self) -> Sequence[RejectedPlugin]:
        """Plugins that were found and are not used."""
        return self._tasks.rejected

    async def stats(self) -> Stats:
        """Figures at this moment.

        Raises:
            StoreUnavailable.
        """
        return Stats(
            counts=await self._store.counts(self._tasks.names(), scope=caller().scope),
            node=self._lease.node,
            version=self._version,
            started_at=self._started_at,
            window_size=len(self._window),
            running=len(self._runs),
            subscribers=len(self._hub),
            lateness=self._lateness.summary(),
            tasks=self._tasks.names(),
        )
