"""Keys that steer the instance that is chosen: abort, retry, reschedule."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import partial
from typing import ClassVar

from textual.binding import BindingType

from later_core.cli.options import due
from later_core.cli.times import parse_when
from later_core.cli.top.screens.asking import AskTime, Confirm
from later_core.cli.top.screens.page import BoardScreen
from later_core.model.instance import Instance


class OrderingScreen(BoardScreen):
    """A screen whose keys ask the server for something, after a question."""

    def order(self, question: str, ask: Callable[[], Awaitable[object]], done: str) -> None:
        """Put the question; on yes, ask the server, and say what it answered."""

        def answered(yes: bool | None) -> None:
            if yes:
                self.carry_out(ask, done)

        self.app.push_screen(Confirm(question), answered)

    def carry_out(self, ask: Callable[[], Awaitable[object]], done: str) -> None:
        """Ask the server, and say what it answered."""

        async def whole() -> None:
            answer = await self.desk.carry_out(ask(), done)
            self.notify(
                answer.text,
                severity="information" if answer.is_done else "error",
                markup=False,
            )

        self.run_worker(whole())


class ActingScreen(OrderingScreen):
    """A screen on which an instance is chosen."""

    BINDINGS: ClassVar[list[BindingType]] = [
        ("a", "abort", "Abort"),
        ("r", "retry", "Retry"),
        ("m", "reschedule", "Reschedule"),
    ]
    CHANGING = frozenset({"abort", "retry", "reschedule"})

    @abstractmethod
    def chosen(self) -> Instance | None:
        """The instance that a key is about."""

    def action_abort(self) -> None:
        """Abort the chosen instance."""
        if instance := self.chosen():
            self.order(
                f"Abort {instance.id} (task {instance.task}, {instance.state.value})?",
                partial(self.desk.client.abort, instance.id),
                f"{instance.id} is aborted",
            )

    def action_retry(self) -> None:
        """Run the chosen instance again, now."""
        if instance := self.chosen():
            self.order(
                f"Run {instance.id} (task {instance.task}, {instance.state.value}) again, now?",
                partial(self.desk.client.retry, instance.id),
                f"{instance.id} is due again",
            )

    def action_reschedule(self) -> None:
        """Move the chosen instance, if nobody has changed it since it was shown."""
        if instance := self.chosen():
            self.app.push_screen(
                AskTime(f"Move {instance.id} (task {instance.task}) to which time?"),
                partial(self._reschedule, instance),
            )

    def _reschedule(self, instance: Instance, typed: str | None) -> None:
        if typed is None:
            return
        try:
            when = parse_when(typed, self.desk.now())
        except ValueError as error:
            self.notify(str(error), severity="error", markup=False)
            return
        at, in_ = (when, None) if isinstance(when, datetime) else (None, when)
        self.carry_out(
            partial(
                self.desk.client.reschedule,
                instance.id,
                revision=instance.revision,
                **due(at, in_),
            ),
            f"{instance.id} is moved",
        )
