"""Which tasks this node can run, and where they come from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Protocol

from later_core.model.breaker import Breaker
from later_core.model.rate import RateLimit
from later_core.model.task_limits import NO_LIMITS, TaskLimits, in_force
from later_core.plugin.task import Task


@dataclass(frozen=True, slots=True, kw_only=True)
class InstalledTask:
    """A task, the distribution that provides it, and the limits in force (None: there is none)."""

    task: Task
    distribution: str
    version: str
    rate_limit: RateLimit | None = None
    limits: TaskLimits = NO_LIMITS


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


#: How many instances of a task that runs in processes run at once on a node, unless anybody says otherwise:
#: each is a Python interpreter of its own.
PROCESSES = 8


class SetLimits(Protocol):
    """What the operator has set, by task; None lifts what a task declares. ``*`` stands for all others."""

    @property
    def rate_limits(self) -> Mapping[str, RateLimit | None]: ...
    @property
    def time_limits(self) -> Mapping[str, timedelta | None]: ...
    @property
    def concurrency_limits(self) -> Mapping[str, int | None]: ...
    @property
    def breakers(self) -> Mapping[str, Breaker | None]: ...


class WithLimits:
    """The same tasks, each with the limits in force: what the operator has set, else what its author
    declares.
    """

    def __init__(self, tasks: Tasks, set_by_operator: SetLimits) -> None:
        self._tasks = tasks
        rates: dict[str, RateLimit] = {}
        limits: dict[str, TaskLimits] = {}
        #: Made once: they are asked for at every attempt.
        self._installed: dict[str, InstalledTask] = {}
        for name in tasks.names():
            if (installed := tasks.get(name)) is None:
                continue
            task = installed.task
            rate = set_by_operator.rate_limits.get(name, task.rate_limit)
            if rate is not None:
                rates[name] = rate
            limits[name] = _limits(task, name, set_by_operator)
            self._installed[name] = replace(installed, rate_limit=rate, limits=limits[name])
        #: Those of the tasks that have one.
        self.rates: Mapping[str, RateLimit] = rates
        self.time_limits: Mapping[str, timedelta] = {
            name: each.time for name, each in limits.items() if each.time is not None
        }
        self.concurrency_limits: Mapping[str, int] = {
            name: each.concurrency for name, each in limits.items() if each.concurrency is not None
        }
        self.breakers: Mapping[str, Breaker] = {
            name: each.breaker for name, each in limits.items() if each.breaker is not None
        }

    @property
    def rejected(self) -> Sequence[RejectedPlugin]:
        return self._tasks.rejected

    def get(self, name: str) -> InstalledTask | None:
        return self._installed.get(name)

    def names(self) -> Sequence[str]:
        return self._tasks.names()

    def nearest(self, name: str) -> Sequence[str]:
        return self._tasks.nearest(name)


def _limits(task: Task, name: str, set_by_operator: SetLimits) -> TaskLimits:
    concurrency = in_force(set_by_operator.concurrency_limits, name, task.concurrency_limit)
    is_set = name in set_by_operator.concurrency_limits
    if concurrency is None and task.run_in == "process" and not is_set:
        concurrency = PROCESSES
    return TaskLimits(
        time=in_force(set_by_operator.time_limits, name, task.time_limit),
        concurrency=concurrency,
        breaker=in_force(set_by_operator.breakers, name, task.breaker),
    )
