"""The page of tasks: what the node that answers can run, and plugins that it does not use."""

from __future__ import annotations

from collections.abc import Iterable

from rich.text import Text
from textual.widget import Widget

from later_core.cli.top.feed import Page
from later_core.cli.top.screens.page import BoardPage, Row, Table
from later_core.client.tasks import TaskInfo
from later_core.model.duration import format_duration
from later_core.ports.tasks import RejectedPlugin


class TasksPage(BoardPage):
    """In order of name; plugins that are not used come last, with the reason."""

    PAGE = Page.TASKS

    def body(self) -> Iterable[Widget]:
        yield Table("TASK", "DISTRIBUTION", "VERSION", "LIMITS", "DESCRIPTION", id="tasks")

    def draw(self) -> None:
        tasks = self.desk.board.tasks
        self.query_one("#tasks", Table).fill(
            [*map(_task, tasks.tasks), *map(_rejected, tasks.rejected)]
        )


def _task(task: TaskInfo) -> Row:
    rate = task.rate_limit
    said = ", ".join(
        filter(
            None, (f"{rate.count} in {format_duration(rate.per)}" if rate else "", str(task.limits))
        )
    )
    about = Text("left alone: its breaker is open", style="red") if task.is_breaker_open else None
    cells = (task.name, task.distribution, task.version, said, about or task.description)
    return f"task {task.name}", cells


def _rejected(plugin: RejectedPlugin) -> Row:
    said = Text(f"not used: {plugin.reason}", style="yellow")
    key = f"plugin {plugin.distribution} {plugin.name}"
    return key, (plugin.name, plugin.distribution, plugin.version, "", said)
