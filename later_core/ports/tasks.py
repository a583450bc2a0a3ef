"""Which tasks this node can run, and where they come from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from later_core.plugin.task import Task


@dataclass(frozen=True, slots=True, kw_only=True)
class InstalledTask:
    """A task and the distribution that provides it."""

    task: Task
    distribution: str
    version: str


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
