"""How long MongoDB takes to answer, told to an observer command by command."""

from __future__ import annotations

from pymongo.monitoring import (
    CommandFailedEvent,
    CommandListener,
    CommandStartedEvent,
    CommandSucceededEvent,
)

from later_core.ports.observer import Observer

#: It waits for news, so that its length says how quiet it is and not how fast the database is.
_WAITING = "getMore"


class Stopwatch(CommandListener):
    """Called by the driver in its threads."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer

    def started(self, event: CommandStartedEvent) -> None:
        """Its end says all."""

    def succeeded(self, event: CommandSucceededEvent) -> None:
        self._tell(event.command_name, event.duration_micros, is_error=False)

    def failed(self, event: CommandFailedEvent) -> None:
        self._tell(event.command_name, event.duration_micros, is_error=True)

    def _tell(self, command: str, micros: int, *, is_error: bool) -> None:
        if command != _WAITING:
            self._observer.answered(command, micros / 1_000_000, is_error=is_error)
