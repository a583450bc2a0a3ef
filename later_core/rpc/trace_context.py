"""On behalf of what a call is made: the W3C Trace Context in its metadata, or the span that it is itself."""

from __future__ import annotations

import re
from contextvars import ContextVar
from typing import Any

KEY = "traceparent"

#: As the recommendation writes it: version 00, and no id of zeros alone. What is not like that is as if it
#: had not been sent.
_WRITTEN = re.compile("00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")

#: The span that the call of this asyncio task is, where somebody traces.
current: ContextVar[str | None] = ContextVar("later_call_span", default=None)


def is_written_well(value: str) -> bool:
    """Whether this is a ``traceparent``."""
    return _WRITTEN.fullmatch(value) is not None


def sent(context: Any) -> str | None:
    """What the client sent with its call (a ``grpc.aio.ServicerContext``)."""
    for key, value in context.invocation_metadata() or ():
        if key == KEY and isinstance(value, str) and is_written_well(value):
            return value
    return None


def trace_parent(context: Any) -> str | None:
    """What an instance keeps that this call creates."""
    return current.get() or sent(context)
