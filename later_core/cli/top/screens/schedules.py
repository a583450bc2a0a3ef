"""The page of schedules: when each fires next; pause, resume, trigger."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import ClassVar

from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.widget import Widget
from textual.widgets import DataTable, Static

from later_core.cli.schedules.shown import COLUMNS, listed_details, rows
from later_core.cli.top.desk import Desk
from later_core.cli.top.feed import Page
from later_core.cli.top.screens.acting import OrderingScreen
from later_core.cli.top.screens.instance import details
from later_core.cli.top.screens.page import BoardPage, BoardScreen, Table
from later_core.model.schedule import ListedSchedule


class SchedulesPage(OrderingScreen, BoardPage):
    """In order of id."""

    PAGE = Page.SCHEDULES
    BINDINGS: ClassVar[list[BindingType]] = [
        ("p", "pause", "Pause or resume"),
        ("t", "trigger", "Trigger"),
    ]
    CHANGING = frozenset({"pause", "trigger"})

    def body(self) -> Iterable[Widget]:
        yield Table(*COLUMNS, id="schedules")

    def draw(self) -> None:
        now = self.desk.now()
        self.query_one("#schedules", Table).fill(
            (listed.schedule.id, next(rows(listed, now, 1))) for listed in self.desk.board.schedules
        )

    def action_pause(self) -> None:
        """Pause the chosen schedule, or let it fire again."""
        if (listed := self._chosen()) is None:
            return
        id = listed.schedule.id
        if listed.schedule.is_paused:
            self.order(
                f"Let {id} fire again, from now on?",
                partial(self.desk.client.resume_schedule, id),
                f"{id} fires again",
            )
        else:
            self.order(
                f"Pause {id} until it is resumed?",
                partial(self.desk.client.pause_schedule, id, "paused in later top"),
                f"{id} is paused",
            )

    def action_trigger(self) -> None:
        """Create one instance that is due now."""
        if listed := self._chosen():
            id = listed.schedule.id
            self.order(
                f"Create an instance of {id} that is due now?",
                partial(self.desk.client.trigger_schedule, id),
                f"{id} has an instance that is due now",
            )

    def on_data_table_row_selected(self, _: DataTable.RowSelected) -> None:
        """Enter on a row."""
        if listed := self._chosen():
            self.app.push_screen(ScheduleScreen(self.desk, listed.schedule.id))

    def _chosen(self) -> ListedSchedule | None:
        return _find(self.desk, self.query_one("#schedules", Table).chosen)


class ScheduleScreen(BoardScreen):
    """All of one schedule."""

    BINDINGS: ClassVar[list[BindingType]] = [("escape", "dismiss", "Back")]

    def __init__(self, desk: Desk, id: str) -> None:
        super().__init__(desk)
        self._schedule_id = id

    def body(self) -> Iterable[Widget]:
        yield VerticalScroll(Static(id="details"))

    def draw(self) -> None:
        listed = _find(self.desk, self._schedule_id)
        shown = details(listed_details(listed, self.desk.now())) if listed else "It is deleted."
        self.query_one("#details", Static).update(shown)


def _find(desk: Desk, id: str | None) -> ListedSchedule | None:
    return next((each for each in desk.board.schedules if each.schedule.id == id), None)
