"""What stands before an order: a question, or a line to type."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Label

_CSS = """
{name} {{ align: center middle; }}
{name} > Vertical {{ width: 76; height: auto; border: thick $primary; padding: 1 2; }}
"""


class Confirm(ModalScreen[bool]):
    """A question; ``y`` is the one key that says yes."""

    CSS = _CSS.format(name="Confirm")
    BINDINGS: ClassVar[list[BindingType]] = [
        ("y", "answer(True)", "Yes"),
        ("n,escape,q", "answer(False)", "No"),
    ]

    def __init__(self, question: str) -> None:
        super().__init__()
        self._question = question

    def compose(self) -> ComposeResult:
        """The question and its keys."""
        with Vertical():
            yield Label(self._question, markup=False)
            yield Label("y yes   n no", markup=False)

    def action_answer(self, answer: bool) -> None:
        """Leave with this answer."""
        self.dismiss(answer)


class AskTime(ModalScreen[str | None]):
    """A line to type a time in; None: nothing shall be done."""

    CSS = _CSS.format(name="AskTime")
    BINDINGS: ClassVar[list[BindingType]] = [("escape", "leave", "Leave")]

    def __init__(self, question: str) -> None:
        super().__init__()
        self._question = question

    def compose(self) -> ComposeResult:
        """The question and the line."""
        with Vertical():
            yield Label(self._question, markup=False)
            yield Input(placeholder="5m, tomorrow 09:00, 2030-01-31T09:00Z")
            yield Label("Enter does it, Escape leaves it as it is", markup=False)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Leave with what was typed."""
        self.dismiss(event.value.strip() or None)

    def action_leave(self) -> None:
        """Leave without."""
        self.dismiss(None)
