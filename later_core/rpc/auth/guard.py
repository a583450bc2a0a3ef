"""The way of one call through the gate: let in, its caller told to the services, noted at its end."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from later_core.errors import LaterError, PermissionDenied, StoreUnavailable, Unauthenticated
from later_core.local.audit_trail import AuditTrail
from later_core.local.caller import set_caller
from later_core.model.principal import ANYONE
from later_core.ports.clock import Clock
from later_core.rpc.auth.gate import FINDING_SECONDS, Gate
from later_core.rpc.auth.methods import METHODS, Rule
from later_core.rpc.auth.noting import notes, target_of
from later_core.rpc.errors import code_of
from later_core.service.audit import AuditLog
from later_core.service.tokens import Tokens

_Context = Any  # grpc.aio.ServicerContext

_NO_CHANGE = Rule(None)


class Guard:
    """Gate and audit trail of a server. ``enter`` begins a call; ``run`` looks after long ones."""

    def __init__(self, *, gate: Gate, trail: AuditTrail, clock: Clock) -> None:
        self._gate = gate
        self._trail = trail
        self._clock = clock
        self._streams: set[Entry] = set()

    def enter(self, method: str, context: _Context, *, is_stream: bool = False) -> Entry:
        """The call as a context: entering raises what keeps the caller out."""
        return Entry(self._gate, self._trail, self._streams if is_stream else None, method, context)

    async def run(self) -> None:
        """Loop: a stream whose caller is no longer let in ends."""
        while True:
            await self._clock.sleep(FINDING_SECONDS)
            for entry in tuple(self._streams):
                await entry.review()


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """What a server needs of who may: ``tokens`` and ``audit_log`` answer requests, ``guard`` stands
    before all of them. Without one nobody is authenticated, and every call is let in.
    """

    tokens: Tokens
    audit_log: AuditLog
    guard: Guard | None = None


class Open:
    """Where nobody is authenticated: every call is let in, and none is noted."""

    #: What ends the stream, once something does.
    failure: LaterError | None = None

    def __init__(self) -> None:
        #: What the stream waits in; it is ended by rescheduling it.
        self.waits: set[asyncio.Timeout] = set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        return None

    def asked(self, request: Any) -> None:
        """A request has been read."""

    def answered(self, response: Any) -> None:
        """The first request not yet answered has been."""

    def attended(self, context: _Context) -> _Context:
        """The context of a method that writes its answers by itself."""
        return context


class Entry(Open):
    """One call that comes through the gate."""

    def __init__(
        self,
        gate: Gate,
        trail: AuditTrail,
        streams: set[Entry] | None,
        method: str,
        context: _Context,
    ) -> None:
        self._gate = gate
        self._trail = trail
        self._streams = streams
        self._method = method
        self._context = context
        self._is_change = METHODS.get(method, _NO_CHANGE).is_change
        self._principal = ANYONE
        self._requests: deque[Any] = deque(maxlen=1)
        if streams is not None:
            super().__init__()

    async def __aenter__(self) -> Self:
        try:
            self._principal = await self._gate.admit(self._method, self._context)
        except (Unauthenticated, PermissionDenied) as error:
            self._note_refusal(error)
            raise
        set_caller(self._principal)
        if self._streams is not None and self._principal is not ANYONE:
            self._streams.add(self)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._streams is not None:
            self._streams.discard(self)
        if error is not None and self._is_change and error is not self.failure:
            target = target_of(self._requests[0]) if self._requests else ""
            self._note(target, _outcome(error))

    async def review(self) -> None:
        """End the stream if its caller would not be let in again."""
        try:
            await self._gate.admit(self._method, self._context)
        except StoreUnavailable:
            return  # it cannot be told now
        except (Unauthenticated, PermissionDenied) as error:
            self._note_refusal(error)
            self.failure = error
            for wait in self.waits:
                wait.reschedule(0)  # a moment in the loop's past: it ends at once

    def asked(self, request: Any) -> None:
        if self._is_change:
            self._requests.append(request)

    def answered(self, response: Any) -> None:
        if self._is_change:
            for target, outcome, count in notes(self._requests.popleft(), response):
                self._note(target, outcome, count)

    def attended(self, context: _Context) -> _Context:
        if not self._is_change:
            return context
        self._requests = deque()  # several are under way at a time
        return _Attended(context, self)

    def _note_refusal(self, error: Unauthenticated | PermissionDenied) -> None:
        who = error.principal if isinstance(error, PermissionDenied) else ""
        self._trail.note(
            principal=who,
            method=_name(self._method),
            target="",
            outcome=_outcome(error),
            peer=self._context.peer(),
        )

    def _note(self, target: str, outcome: str, count: int = 1) -> None:
        self._trail.note(
            principal=self._principal.name,
            method=_name(self._method),
            target=target,
            outcome=outcome,
            peer=self._context.peer(),
            count=count,
        )


class _Attended:
    """A context whose written answers are noted."""

    def __init__(self, context: _Context, entry: Entry) -> None:
        self._context = context
        self._entry = entry

    async def write(self, response: Any) -> None:
        # Noted first: what was done is in the log also when nobody is left to read of it.
        self._entry.answered(response)
        await self._context.write(response)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)


def _name(method: str) -> str:
    return method.rpartition("/")[2]


def _outcome(error: BaseException) -> str:
    if isinstance(error, LaterError):
        return code_of(error).name
    return "CANCELLED" if isinstance(error, asyncio.CancelledError) else "INTERNAL"
