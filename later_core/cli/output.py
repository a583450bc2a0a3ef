"""How answers look: tables for people, one JSON object a line for programs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import click
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from later_core.cli.times import iso, relative, spell
from later_core.model.concurrency import Concurrency
from later_core.model.event import Event
from later_core.model.instance import Instance
from later_core.model.state import State

#: What is not a terminal gets lines as long as they are; nothing is cut off in a file or a pipe.
_ENDLESS = 10_000
_SHOWN_BYTES = 2_000
#: The least width in which sentences are readable.
_PROSE = 24

STATE_STYLES: Mapping[State, str] = {
    State.PENDING: "cyan",
    State.RUNNING: "yellow",
    State.SUCCEEDED: "green",
    State.FAILED: "red",
    State.ABORTED: "magenta",
}


class _Out(Console):
    """rich would end the process by itself where nobody reads; ``failure`` knows what to do then."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


def console() -> Console:
    """Standard output, as wide as the terminal; plain and endless where there is none."""
    out = _Out(highlight=False, markup=False, emoji=False)
    if not out.is_terminal:
        out = _Out(highlight=False, markup=False, emoji=False, width=_ENDLESS)
    return out


def _print(table: Table, *, narrowest: int = 0) -> None:
    """Without the blanks that fill up the last column where no terminal needs them.

    Where the terminal is narrower than ``narrowest``, lines go over its edge as they are.
    """
    out = console()
    if out.is_terminal and narrowest <= out.width:
        out.print(table)
        return
    out.width = max(out.width, narrowest)
    with out.capture() as captured:
        out.print(table)
    for line in captured.get().splitlines():
        click.echo(line.rstrip())


def print_json(record: Mapping[str, Any]) -> None:
    """One object on a line of its own, sent at once so that a pipe can follow."""
    click.echo(json.dumps(record, ensure_ascii=False, separators=(", ", ": ")))


def print_table(
    columns: Sequence[str], rows: Iterable[Sequence[str | Text]], *, prose: bool = False
) -> None:
    """Columns with a heading each; the widths follow what is in them.

    An id that is cut into pieces can neither be read nor copied, so nothing is broken over lines
    but sentences: with ``prose`` the last column holds such.
    """
    table = Table(box=None, pad_edge=False, header_style="bold", expand=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    longest = 0
    for row in rows:
        cells = [cell if isinstance(cell, Text) else Text(cell) for cell in row]
        longest = max(longest, cells[-1].cell_len)
        table.add_row(*cells)
    endless = Console(width=_ENDLESS)
    whole = Measurement.get(endless, endless.options, table).maximum
    _print(table, narrowest=whole - max(0, longest - _PROSE) if prose else whole)


def print_grid(table: Table) -> None:
    """A table that was drawn elsewhere; in a narrow terminal its cells are broken over lines."""
    _print(table)


def print_details(pairs: Iterable[tuple[str, str | Text]]) -> None:
    """Names and values, one pair a line; pairs without a value are left out."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in pairs:
        if value:
            table.add_row(name, value if isinstance(value, Text) else Text(value))
    _print(table)


def state_text(state: State) -> Text:
    """The state in its colour."""
    return Text(state.value, style=STATE_STYLES[state])


INSTANCE_COLUMNS = ("ID", "TASK", "STATE", "ATTEMPT", "EXECUTION TIME", "")


def instance_row(instance: Instance, now: datetime) -> Sequence[str | Text]:
    """The cells of ``INSTANCE_COLUMNS``."""
    return (
        instance.id,
        instance.task,
        state_text(instance.state),
        str(instance.attempt) if instance.attempt else "",
        iso(instance.execution_time),
        relative(instance.execution_time, now),
    )


def instance_details(instance: Instance, now: datetime) -> Iterable[tuple[str, str | Text]]:
    """Everything about one instance, in the words of the interface."""

    def when(instant: datetime | None) -> str:
        return f"{iso(instant)} ({relative(instant, now)})" if instant else ""

    yield "id", instance.id
    yield "task", instance.task
    yield "state", state_text(instance.state)
    yield "execution time", when(instance.execution_time)
    allowed = instance.retry.max_attempts + instance.uncounted_attempts
    yield "attempt", f"{instance.attempt} of {allowed}"
    yield "parameters", payload_text(instance.parameters)
    yield "result", payload_text(instance.result)
    yield "error", f"{instance.error.reason}: {instance.error.message}" if instance.error else ""
    yield "timeout", spell(instance.timeout.total_seconds()) if instance.timeout else ""
    yield (
        "start deadline",
        spell(instance.start_deadline.total_seconds()) if instance.start_deadline else "",
    )
    yield "concurrency", concurrency_text(instance.concurrency)
    yield "delivery", instance.delivery.value
    yield "priority", str(instance.priority or "")
    yield "labels", ", ".join(f"{key}={value}" for key, value in sorted(instance.labels.items()))
    yield "schedule", instance.schedule_id or ""
    yield "created by", instance.principal
    yield "node", instance.node or ""
    yield "created", when(instance.create_time)
    yield "started", when(instance.start_time)
    yield "finished", when(instance.finish_time)
    yield "revision", str(instance.revision)


def concurrency_text(concurrency: Concurrency | None) -> str:
    """How many of which key may run at once; empty without limit."""
    if concurrency is None:
        return ""
    return f"{concurrency.limit} at once of {concurrency.key}"


ATTEMPT_COLUMNS = ("ATTEMPT", "STARTED", "TOOK", "NODE", "ERROR")


def attempt_rows(instance: Instance) -> Iterable[Sequence[str]]:
    """The cells of ``ATTEMPT_COLUMNS`` for each attempt that has ended; none where the details of the
    instance say it all."""
    if len(instance.attempts) == 1 and instance.state.is_final:
        return
    for attempt in instance.attempts:
        begun = attempt.start_time
        took = spell((attempt.end_time - begun).total_seconds()) if begun else ""
        error = attempt.error
        yield (
            str(attempt.number),
            iso(begun) if begun else f"never (ended {iso(attempt.end_time)})",
            took,
            attempt.node,
            f"{error.reason}: {error.message.partition(chr(10))[0]}" if error else "",
        )


def payload_text(payload: bytes) -> str:
    """Bytes as people can read them: their text up to a bound, or how many there are."""
    try:
        text = payload.decode()
    except UnicodeDecodeError:
        return f"({len(payload):,} bytes, not text; --json shows them in base64)"
    if len(text) > _SHOWN_BYTES:
        return f"{text[:_SHOWN_BYTES]}… ({len(payload):,} bytes; --json shows all)"
    return text


def event_line(event: Event) -> Text:
    """One line of a watch."""
    line = Text(f"{iso(event.event_time)}  {event.type.value:<8}")
    instance = event.instance
    if instance is None:
        return line.append("  changes may have been missed: read anew what you know", "bold yellow")
    line.append("  ").append_text(state_text(instance.state))
    line.append(" " * (len("SUCCEEDED") - len(instance.state.value)))
    line.append(f"  {instance.id}  {instance.task}")
    if instance.attempt:
        line.append(f"  attempt {instance.attempt}")
    if instance.state is State.PENDING:
        line.append(f"  due {iso(instance.execution_time)}")
    if instance.error:
        line.append(f"  {instance.error.reason}: {instance.error.message.partition(chr(10))[0]}")
    return line
