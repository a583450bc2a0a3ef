"""Which tasks this node can run, and where they come from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from later_core.model.rate import RateLimit
from later_core.plugin.task import Task


@dataclass(frozen=True, slots=True, kw_only=True)
class InstalledTask:
    """A task, the distribution that provides it, and the rate limit in force (None: there is none)."""

    task: Task
    distribution: str
    version: str
    rate_limit: RateLimit | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RejectedPlugin:
    """A plugin that was found and is not used, with the reason as a sentence."""

    name: str
    distribution: str
    version: str
    reason: str


class Tasks(Protocol):
    """The installed tasks; does not change while the process lives."""

    @property
    def rejected(self) -> Sequence[RejectedPlugin]:
        """Plugins that were found and are not used."""
        ...

    def get(self, name: str) -> InstalledTask | None:
        """The task of this name, None where no plugin provides it."""
        ...

    def names(self) -> Sequence[str]:
        """All task names, sorted."""
        ...

    def nearest(self, name: str) -> Sequence[str]:
        """Up to three installed names that a person may have meant by this one."""
        ...


class WithRates:
    """The same tasks, each with the rate limit in force: what the operator has set, else what its author
    declares.
    """

    def __init__(self, tasks: Tasks, set_by_operator: Mapping[str, RateLimit | None]) -> None:
        self._tasks = tasks
        rates: dict[str, RateLimit] = {}
        for name in tasks.names():
            installed = tasks.get(name)
            declared = installed.task.rate_limit if installed is not None else None
            if (rate := set_by_operator.get(name, declared)) is not None:
                rates[name] = rate
        #: Those of the tasks that have one.
        self.rates: Mapping[str, RateLimit] = rates

    @property
    def rejected(self) -> Sequence[RejectedPlugin]:
        return self._tasks.rejected

    def get(self, name: str) -> InstalledTask | None:
        installed = self._tasks.get(name)
        return installed and replace(installed, rate_limit=self.rates.get(name))

    def names(self) -> Sequence[str]:
        return self._tasks.names()

    def nearest(self, name: str) -> Sequence[str]:
        return self._tasks.nearest(name)
