"""All of one instance, as it is now."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from rich.console import Group
from rich.table import Table as Grid
from rich.text import Text
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.widget import Widget
from textual.widgets import Static

from later_core.cli.output import ATTEMPT_COLUMNS, attempt_rows, instance_details
from later_core.cli.top.desk import Desk
from later_core.cli.top.screens.acting import ActingScreen
from later_core.model.instance import Instance


def details(pairs: Iterable[tuple[str, str | Text]]) -> Grid:
    """Names and values, one pair a line; pairs without a value are left out."""
    grid = Grid.grid(padding=(0, 2))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in pairs:
        if value:
            grid.add_row(name, value if isinstance(value, Text) else Text(value))
    return grid


class InstanceScreen(ActingScreen):
    """Lies over the page on which the instance was chosen."""

    BINDINGS: ClassVar[list[BindingType]] = [("escape", "back", "Back")]

    def __init__(self, desk: Desk, instance: Instance) -> None:
        super().__init__(desk)
        desk.board.inspect(instance, is_new=True)

    def body(self) -> Iterable[Widget]:
        yield VerticalScroll(Static(id="details"))

    def draw(self) -> None:
        instance = self.chosen()
        if instance is None:
            return
        pairs = details(instance_details(instance, self.desk.now()))
        attempts = Grid(*ATTEMPT_COLUMNS, box=None, pad_edge=False)
        for row in attempt_rows(instance):
            attempts.add_row(*(Text(cell) for cell in row))
        shown = Group(pairs, Text(), attempts) if attempts.row_count else pairs
        self.query_one("#details", Static).update(shown)

    def chosen(self) -> Instance | None:
        return self.desk.board.inspected

    def action_back(self) -> None:
        """Back to the page."""
        self.desk.board.inspected = None
        self.dismiss()
