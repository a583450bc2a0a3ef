"""What a task's code is told about the attempt it runs in."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, Protocol

from later_core.model.instance import Instance


class Logger(Protocol):
    """A logger bound to the instance; keywords become fields of the log line."""

    def debug(self, event: str, **fields: Any) -> Any: ...
    def info(self, event: str, **fields: Any) -> Any: ...
    def warning(self, event: str, **fields: Any) -> Any: ...
    def error(self, event: str, **fields: Any) -> Any: ...
    def bind(self, **fields: Any) -> Any: ...


class Context:
    """One attempt of one instance, as its task sees it.

    ``deadline`` is the instant (UTC) at which the attempt is cancelled, None without a timeout.
    ``trace_parent`` is the ``traceparent`` (W3C Trace Context) for whatever the attempt calls, None where
    nobody traces: that of its own span, or else the one in which the instance was created.
    """

    __slots__ = ("_is_cancelled", "_log", "_unbound", "deadline", "instance", "trace_parent")

    def __init__(self, *, instance: Instance, deadline: datetime | None, log: Logger) -> None:
        self.instance = instance
        self.deadline = deadline
        self.trace_parent = instance.trace_parent
        self._unbound = log
        self._log: Logger | None = None
        self._is_cancelled = False

    @property
    def log(self) -> Logger:
        """A logger whose lines tell the task, the instance and the attempt."""
        if self._log is None:
            bound: Logger = self._unbound.bind(
                task=self.instance.task, instance=self.instance.id, attempt=self.attempt
            )
            self._log = bound
        return self._log

    @property
    def attempt(self) -> int:
        """1 for the first start; 0 in ``on_abort`` of an instance that never started."""
        return self.instance.attempt

    @property
    def parameters(self) -> bytes:
        """The bytes given at creation, unchanged."""
        return self.instance.parameters

    def json(self) -> Any:
        """The parameters parsed as JSON, None where there are none.

        Raises:
            ValueError: they are not JSON; the attempt then fails with that message.

        """
        return json.loads(self.parameters) if self.parameters else None

    @property
    def is_cancelled(self) -> bool:
        """True once the attempt was aborted, ran out of time or the node shuts down.

        An ``async def`` is cancelled by asyncio and need not ask. A plain ``def`` runs in a thread
        that nobody can stop: one that runs long asks now and then, and returns early.
        """
        return self._is_cancelled

    def cancel(self) -> None:
        """Called by the runner; tells a plain function that its answer is no longer awaited."""
        self._is_cancelled = True
