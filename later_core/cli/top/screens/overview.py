"""The first page: counts, lateness, what is due next, what runs, what failed."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from rich.text import Text
from textual.containers import Horizontal, Vertical
from textual.widget import Widget
from textual.widgets import DataTable, Sparkline, Static

from later_core.cli.output import STATE_STYLES
from later_core.cli.times import relative, spell, spell_late
from later_core.cli.top.feed import Page
from later_core.cli.top.punctuality import STEPS
from later_core.cli.top.screens.acting import ActingScreen
from later_core.cli.top.screens.instance import InstanceScreen
from later_core.cli.top.screens.page import BoardPage, Row, Table
from later_core.model.instance import Instance
from later_core.model.stats import Lateness

#: So many rows of each table are drawn.
_ROWS = 50
_BAR = 24


class OverviewPage(ActingScreen, BoardPage):
    """Everything at a glance; Tab goes from table to table."""

    PAGE = Page.OVERVIEW
    CSS = """
    #counts { height: 1; padding: 0 1; }
    #punctuality { height: 12; }
    #line { width: 1fr; padding: 0 1; }
    #line Sparkline { height: 1fr; }
    #figures { height: 2; }
    #histogram { width: 44; height: 100%; padding: 0 1; }
    """

    def body(self) -> Iterable[Widget]:
        yield Static(id="counts")
        line = Vertical(
            Sparkline([], id="worst"), Static(id="figures"), id="line", classes="titled"
        )
        line.border_title = "Worst lateness of each of the last 120 seconds"
        spread = Static(id="histogram", classes="titled")
        spread.border_title = "Lateness of the last starts"
        yield Horizontal(line, spread, id="punctuality")
        yield Horizontal(
            Table("ID", "TASK", "DUE", id="due", title="Due next"),
            Table("ID", "TASK", "ATTEMPT", "FOR", id="running", title="Running"),
        )
        yield Table("ID", "TASK", "ENDED", "ERROR", id="failed", title="Failed")

    def draw(self) -> None:
        board = self.desk.board
        self.query_one("#counts", Static).update(self._counts())
        line = board.punctuality.line(self.desk.now())
        sparkline = self.query_one("#worst", Sparkline)
        if sparkline.data != line:
            sparkline.data = line
        self.query_one("#figures", Static).update(self._figures(max(line)))
        self.query_one("#histogram", Static).update(_bars(board.punctuality.histogram))
        self.query_one("#due", Table).fill(self._due_row(each) for each in board.due_next[:_ROWS])
        self.query_one("#running", Table).fill(
            self._running_row(each) for each in board.running[:_ROWS]
        )
        self.query_one("#failed", Table).fill(
            self._failed_row(each) for each in board.failed[:_ROWS]
        )

    def chosen(self) -> Instance | None:
        focused = self.focused
        if not isinstance(focused, Table):
            return None
        board = self.desk.board
        shown = {"due": board.due_next, "running": board.running, "failed": board.failed}
        key = focused.chosen
        return next((each for each in shown[focused.id or ""] if each.id == key), None)

    def on_data_table_row_selected(self, _: DataTable.RowSelected) -> None:
        """Enter on a row."""
        if instance := self.chosen():
            self.app.push_screen(InstanceScreen(self.desk, instance))

    def _counts(self) -> Text:
        line = Text()
        stats = self.desk.board.stats
        if stats is None:
            return line
        for state, count in stats.counts.by_state.items():
            line.append(f"{state.value} ", style=STATE_STYLES[state])
            line.append(f"{count:,}   ", style="bold")
        if missing := sum(stats.counts.unresolved.values()):
            line.append(f"{missing:,} wait for tasks that are not installed", style="yellow")
        return line

    def _figures(self, worst: float) -> str:
        stats = self.desk.board.stats
        seen = f"worst in the line {spell_late(timedelta(milliseconds=worst))}"
        return f"{seen}\n{_of_node(stats.lateness) if stats else ''}"

    def _due_row(self, instance: Instance) -> Row:
        return instance.id, (
            instance.id,
            instance.task,
            relative(instance.execution_time, self.desk.now()),
        )

    def _running_row(self, instance: Instance) -> Row:
        begun = instance.start_time
        ran = (self.desk.now() - begun).total_seconds() if begun else None
        return instance.id, (
            instance.id,
            instance.task,
            f"{instance.attempt}",
            spell(max(0, ran)) if ran is not None else "starting",
        )

    def _failed_row(self, instance: Instance) -> Row:
        error = instance.error
        ended = instance.finish_time
        said = f"{error.reason}: {error.message.partition(chr(10))[0]}" if error else ""
        return instance.id, (
            instance.id,
            instance.task,
            relative(ended, self.desk.now()) if ended else "",
            Text(said, style="red"),
        )


def _of_node(late: Lateness) -> str:
    if not late.count:
        return "this node has started nothing yet"
    return (
        f"this node: p50 {spell_late(late.p50)}, p99 {spell_late(late.p99)},"
        f" max {spell_late(late.max)} over {late.count:,} starts"
    )


def _bars(counts: Iterable[int]) -> Text:
    """A line for each step of the histogram."""
    found = list(counts)
    most = max(*found, 1)
    names = [f"≤ {spell(step.total_seconds())}" for step in STEPS]
    names.append(f"> {spell(STEPS[-1].total_seconds())}")
    lines = [
        f"{name:>8} {'█' * -(-_BAR * count // most):<{_BAR}} {count or '':>5}"
        for name, count in zip(names, found, strict=True)
    ]
    return Text("\n".join(lines), no_wrap=True)
