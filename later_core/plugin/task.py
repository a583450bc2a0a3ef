"""What a plugin author writes against."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Mapping
from datetime import timedelta
from typing import Any, ClassVar, Literal

from later_core.model.breaker import Breaker
from later_core.model.instance import InstanceError
from later_core.model.rate import RateLimit
from later_core.plugin.context import Context


class TaskError(Exception):
    """Raise it from ``run`` to fail the attempt with a reason of your own.

    ``reason`` is a stable word in UPPER_SNAKE_CASE that programs can act on. With ``is_final``
    no retry follows, whatever the instance's policy. ``result`` is kept on the instance beside
    the error: what the attempt brought to light before it failed (an output, a report).
    ``retry_after`` is how long the other side wants to be left alone: a retry comes no sooner, but
    never later than the policy's ``max_backoff`` has it.
    """

    def __init__(
        self,
        message: str,
        *,
        reason: str = "TASK_FAILED",
        is_final: bool = False,
        result: bytes = b"",
        retry_after: timedelta | None = None,
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.is_final = is_final
        self.result = result
        self.retry_after = retry_after


class Task(ABC):
    """A job definition. One object serves all instances, at the same time: keep no state of a run on it.

    Each method is either ``async def`` (runs on the event loop and must not block it) or plain
    ``def`` (runs in a bounded thread pool). Only ``run`` decides the outcome: a callback that
    raises is logged and changes nothing.
    """

    #: Unique among all installed plugins; lower case with dashes, like ``http-post``.
    name: ClassVar[str]
    #: One line for ``later plugins`` and ``ListTasks``.
    description: ClassVar[str] = ""
    #: JSON Schema of the parameters, for clients and people; None says nothing about them.
    parameters_schema: ClassVar[Mapping[str, Any] | None] = None
    #: A permission of its own that a caller needs to let it run, such as ``run-bash``: lower case with
    #: dashes, granted by name to a token and contained in no role. Empty: creating instances is enough.
    permission: ClassVar[str] = ""

    #: How often it may start in the whole cluster; None: as often as it is due. Operators may set another.
    rate_limit: ClassVar[RateLimit | None] = None

    #: How long an attempt may take, also where its instance asks for longer or for no timeout at all. None:
    #: as long as the instance lets it. Operators may set another.
    time_limit: ClassVar[timedelta | None] = None
    #: How many instances of it run at once on one node; what is over it waits there, and holds up no other
    #: task. None: as many as the node has room for, or 8 with ``run_in = "process"``. Operators may set
    #: another.
    concurrency_limit: ClassVar[int | None] = None
    #: When it is left alone for a while on a node, since it crashes again and again; None: never. Operators
    #: may set another.
    breaker: ClassVar[Breaker | None] = None

    #: Where ``run`` is called. ``process``: each attempt in a process of its own, which is killed when the
    #: attempt is aborted, runs out of time or loses its node; on Linux alone. ``run`` must then be a plain
    #: function, and the object one that can be pickled, with all that ``run`` needs. The callbacks stay in
    #: the server.
    run_in: ClassVar[Literal["server", "process"]] = "server"
    #: With ``run_in = "process"``: how much memory (address space, in bytes) that process may have; None:
    #: all there is.
    memory_limit: ClassVar[int | None] = None

    @abstractmethod
    def run(self, context: Context) -> Awaitable[bytes | str | None] | bytes | str | None:
        """Do the work, or better: trigger it elsewhere.

        The return value is kept as the instance's result (text as UTF-8). Any exception fails the
        attempt; ``TaskError`` says how.
        """

    def on_success(self, context: Context, result: bytes) -> Awaitable[None] | None:
        """Called once, after the success is durable."""

    def on_fail(self, context: Context, error: InstanceError) -> Awaitable[None] | None:
        """Called once, after the failure is durable and no retry follows."""

    def on_abort(self, context: Context) -> Awaitable[None] | None:
        """Called once, after the abort is durable; of a running instance, after its run was cancelled."""
