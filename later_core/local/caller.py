"""Who asks, during a request: set where requests come in, read where they are carried out."""

from __future__ import annotations

from contextvars import ContextVar

from later_core.model.principal import ANYONE, Principal

#: Each request runs in an asyncio task of its own, and what it starts inherits this. The node itself,
#: which fires schedules and takes over from the dead, is not confined.
_caller: ContextVar[Principal] = ContextVar("caller", default=ANYONE)


def caller() -> Principal:
    """Whoever asks for what is being done."""
    return _caller.get()


def set_caller(principal: Principal) -> None:
    """From here on this asyncio task, and those it starts, do what this one asks for."""
    _caller.set(principal)
