"""The application: its pages, their keys, and the feed that runs behind them."""

from __future__ import annotations

import sys
from datetime import timedelta
from functools import partial
from typing import ClassVar

from textual.app import App
from textual.binding import BindingType
from textual.constants import DRIVER

from later_core.cli.top.board import Board
from later_core.cli.top.desk import Desk
from later_core.cli.top.feed import Feed
from later_core.cli.top.screens.instances import InstancesPage
from later_core.cli.top.screens.nodes import NodesPage
from later_core.cli.top.screens.overview import OverviewPage
from later_core.cli.top.screens.page import BoardPage
from later_core.cli.top.screens.schedules import SchedulesPage
from later_core.cli.top.screens.tasks import TasksPage
from later_core.client.client import Client
from later_core.ports.clock import Clock, SystemClock

PAGES: tuple[type[BoardPage], ...] = (
    OverviewPage,
    InstancesPage,
    SchedulesPage,
    NodesPage,
    TasksPage,
)


class TopApp(App[None]):
    """``interval`` None: the board is shown as it is, and nothing is read from the server."""

    TITLE = "later top"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        *((f"{number}", f"show('{page.PAGE.value}')", page.PAGE.value.capitalize())
          for number, page in enumerate(PAGES, start=1)),
        ("q", "quit", "Quit"),
    ]  # fmt: skip
    CSS = """
    .standing { height: 1; background: $primary; color: $text; padding: 0 1; }
    .titled { border: round $primary; border-title-color: $text; }
    DataTable { height: 1fr; }
    DataTable > .datatable--header { background: $background; text-style: bold; }
    """

    def __init__(
        self,
        board: Board,
        client: Client,
        *,
        interval: timedelta | None,
        clock: Clock | None = None,
    ) -> None:
        super().__init__()
        clock = clock or SystemClock()
        self._feed = Feed(client, board, clock, interval) if interval is not None else None
        self.desk = Desk(board=board, client=client, clock=clock, feed=self._feed)
        for page in PAGES:
            self.add_mode(page.PAGE.value, partial(page, self.desk))

    def on_mount(self) -> None:
        """Show the first page and begin to read."""
        self.switch_mode(PAGES[0].PAGE.value)
        if self._feed is not None:
            self.run_worker(self._feed.watch(), name="watch")
            self.run_worker(self._feed.poll(), name="poll")

    def action_show(self, page: str) -> None:
        """Go to a page."""
        self.switch_mode(page)


def has_screen() -> bool:
    """Whether there is something to draw on: a terminal, or a browser behind ``textual serve``, which
    names a driver of its own and reads from a pipe.
    """
    return DRIVER is not None or sys.stdout.isatty()
