"""What all pages have in common: the line at the top, the keys at the bottom, tables that keep their
place.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from typing import ClassVar

from rich.cells import cell_len
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import DataTable, Footer, Static

from later_core.cli.top.desk import Desk
from later_core.cli.top.feed import Page

_REDRAWN_SECONDS = 0.25

Cell = str | Text
#: What names a row, and its cells.
Row = tuple[str, Sequence[Cell]]


class Table(DataTable[Cell]):
    """Rows that may all be given again: the cursor stays on the row of the same key."""

    BINDINGS: ClassVar[list[BindingType]] = [
        ("j", "cursor_down", ""),
        ("k", "cursor_up", ""),
    ]

    def __init__(self, *columns: str, id: str, title: str = "") -> None:
        super().__init__(id=id, cursor_type="row", classes="titled" if title else "")
        self._columns = columns
        self._rows: list[Row] = []
        self.border_title = title

    def on_mount(self) -> None:
        """The columns never change."""
        self.add_columns(*self._columns)

    def fill(self, rows: Iterable[Row]) -> None:
        """Show these rows; nothing is done where they are as before."""
        wanted = list(rows)
        if wanted == self._rows:
            return
        chosen, line = self.chosen, self.cursor_row
        self._rows = wanted
        self.clear()
        # Textual would find the widths when it is next idle, and may have drawn the rows by then.
        for place, column in enumerate(self.ordered_columns):
            cells_below = (cells[place] for _, cells in wanted)
            column.content_width = max(map(_width, (column.label, *cells_below)))
        for key, cells in wanted:
            self.add_row(*cells, key=key)
        keys = [key for key, _ in wanted]
        self.move_cursor(row=keys.index(chosen) if chosen in keys else line)

    @property
    def chosen(self) -> str | None:
        """The key of the row under the cursor."""
        row = self.cursor_row
        return self._rows[row][0] if 0 <= row < len(self._rows) else None


def _width(cell: Cell) -> int:
    return cell.cell_len if isinstance(cell, Text) else cell_len(cell)


class BoardScreen(Screen[None]):
    """Draws itself again and again from the board."""

    #: Actions that change something: their keys are hidden from who may only read.
    CHANGING: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self.desk = desk
        self._was_read_only = desk.board.is_read_only

    def compose(self) -> ComposeResult:
        """The line, the body, the keys."""
        yield Static(classes="standing")
        yield from self.body()
        yield Footer(show_command_palette=False)

    @abstractmethod
    def body(self) -> Iterable[Widget]:
        """What stands between the two lines."""

    @abstractmethod
    def draw(self) -> None:
        """Show what the board knows now."""

    def on_mount(self) -> None:
        """Begin to draw."""
        self.set_interval(_REDRAWN_SECONDS, self._redraw)
        self._redraw()

    def on_screen_resume(self) -> None:
        """Drawn at once when it comes to the front."""
        self._redraw()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Whether a key is offered."""
        if action in self.CHANGING and self.desk.board.is_read_only:
            return False
        return super().check_action(action, parameters)

    def _redraw(self) -> None:
        board = self.desk.board
        self.query_one(".standing", Static).update(self._standing())
        self.draw()
        if board.is_read_only != self._was_read_only:
            self._was_read_only = board.is_read_only
            self.refresh_bindings()

    def _standing(self) -> Text:
        board = self.desk.board
        line = Text("later top", style="bold")
        line.append(f"  {self.desk.client.address}")
        if board.stats is not None:
            line.append(f"  node {board.stats.node}  version {board.stats.version}")
        if board.is_read_only:
            line.append("  read-only", style="bold")
        if board.trouble:
            line = Text(f"NOT CONNECTED  {board.trouble}", style="bold reverse")
        return line


class BoardPage(BoardScreen):
    """One of the pages that a number leads to."""

    PAGE: ClassVar[Page]

    def on_screen_resume(self) -> None:
        """What is looked at is what is read."""
        if self.desk.feed is not None:
            self.desk.feed.page = self.PAGE
        self.desk.hurry()
        super().on_screen_resume()
