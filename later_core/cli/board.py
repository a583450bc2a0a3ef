"""What the demo shows: instances as events tell of them, and how it all ended."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from types import TracebackType
from typing import Self

import click
from rich.live import Live
from rich.table import Table

from later_core.cli.output import console, event_line, state_text
from later_core.cli.times import iso, spell_late
from later_core.model.event import Event
from later_core.model.instance import Instance
from later_core.model.state import State

#: A live table that is higher than the screen flickers; the newest changes are what is of interest.
_MAX_ROWS = 24


class Board:
    """The latest of each instance: a live table on a terminal, a line an event elsewhere."""

    def __init__(self, *, expected: int) -> None:
        self._expected = expected
        self._instances: dict[str, Instance] = {}
        self._console = console()
        self._live = (
            Live(console=self._console, auto_refresh=False) if self._console.is_terminal else None
        )

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._live:
            self._live.stop()

    @property
    def is_complete(self) -> bool:
        """Whether every expected instance has been seen to end."""
        ended = sum(instance.state.is_final for instance in self._instances.values())
        return ended >= self._expected

    def show(self, events: Sequence[Event]) -> None:
        """Take in and show what is new."""
        for event in events:
            if event.instance:
                # Newest last.
                self._instances.pop(event.instance.id, None)
                self._instances[event.instance.id] = event.instance
            if not self._live:
                self._console.print(event_line(event), soft_wrap=True)
        if self._live and events:
            self._live.update(self._table(), refresh=True)

    def _table(self) -> Table:
        newest = list(self._instances.values())[-min(_MAX_ROWS, self._console.height - 4) :]
        table = Table(box=None, header_style="bold", pad_edge=False)
        for column in ("INSTANCE", "EXECUTION TIME", "STATE", "LATENESS"):
            table.add_column(column, no_wrap=True)
        for instance in sorted(newest, key=lambda each: each.id):
            late = lateness(instance)
            table.add_row(
                instance.id,
                iso(instance.execution_time),
                state_text(instance.state),
                spell_late(late) if late is not None else "",
            )
        return table

    def is_as_promised(self, *, succeeded: int, aborted: int) -> bool:
        """Whether so many ended in each state, all of them, and none started early."""
        by_state = Counter(instance.state for instance in self._instances.values())
        early = any(late < timedelta(0) for late in self._latenesses())
        return not early and by_state == {State.SUCCEEDED: succeeded, State.ABORTED: aborted}

    def print_summary(self) -> None:
        """States and lateness, in a line each."""
        by_state = Counter(instance.state for instance in self._instances.values())
        counts = [f"{by_state[state]} {state.value}" for state in State if by_state[state]]
        click.echo(f"\n{len(self._instances)} instances: {', '.join(counts)}")
        late = sorted(self._latenesses())
        if late:
            click.echo(
                f"lateness: p50 {spell_late(late[len(late) // 2])}, max {spell_late(late[-1])}"
                f" over {len(late)} starts"
            )

    def _latenesses(self) -> list[timedelta]:
        each = (lateness(instance) for instance in self._instances.values())
        return [late for late in each if late is not None]


def lateness(instance: Instance) -> timedelta | None:
    """How long after its execution time its code began; None where it did not, or is not known yet."""
    if instance.start_time is None:
        return None
    return instance.start_time - instance.execution_time
