"""The page of instances: a line to say which, and their list."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from textual.binding import BindingType
from textual.widget import Widget
from textual.widgets import DataTable, Input, Static

from later_core.cli.output import INSTANCE_COLUMNS, instance_row
from later_core.cli.top.conditions import HINT, parse_conditions
from later_core.cli.top.feed import Page
from later_core.cli.top.screens.acting import ActingScreen
from later_core.cli.top.screens.instance import InstanceScreen
from later_core.cli.top.screens.page import BoardPage, Table
from later_core.model.instance import Instance


class InstancesPage(ActingScreen, BoardPage):
    """In order of execution time; ``/`` leads to the line, Enter to the list and to one instance."""

    PAGE = Page.INSTANCES
    BINDINGS: ClassVar[list[BindingType]] = [("slash", "filter", "Filter")]
    AUTO_FOCUS = "#instances"

    def body(self) -> Iterable[Widget]:
        yield Input(placeholder=HINT, id="conditions")
        yield Table(*INSTANCE_COLUMNS, id="instances")
        yield Static(id="more")

    def draw(self) -> None:
        now = self.desk.now()
        listing = self.desk.board.listing
        self.query_one("#instances", Table).fill(
            (instance.id, instance_row(instance, now)) for instance in listing.instances
        )
        count = len(listing.instances)
        told = f"the first {count}; there are more" if listing.has_more else f"{count} in all"
        self.query_one("#more", Static).update(told)

    def chosen(self) -> Instance | None:
        key = self.query_one("#instances", Table).chosen
        return next((each for each in self.desk.board.listing.instances if each.id == key), None)

    def action_filter(self) -> None:
        """Type which instances are to be seen."""
        self.query_one("#conditions", Input).focus()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Ask for those."""
        try:
            asked = parse_conditions(event.value, self.desk.now())
        except ValueError as error:
            self.notify(str(error), severity="error", markup=False)
            return
        if self.desk.feed is not None:
            self.desk.feed.asked = asked
        self.desk.hurry()
        self.query_one("#instances", Table).focus()

    def on_data_table_row_selected(self, _: DataTable.RowSelected) -> None:
        """Enter on a row."""
        if instance := self.chosen():
            self.app.push_screen(InstanceScreen(self.desk, instance))
