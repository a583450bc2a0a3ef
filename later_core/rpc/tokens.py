"""Page tokens: a place in the list, in a form that nobody should read or make."""

from __future__ import annotations

import base64
import binascii

from later_core.errors import InvalidRequest
from later_core.model.instant import from_millis, to_millis
from later_core.model.limits import ID_MAX_LENGTH, SCHEDULE_ID_MAX_LENGTH
from later_core.model.query import PageKey

_FIELD = "page_token"

#: Tells a place among schedules from one among instances, which begins with a number.
_SCHEDULE = "schedule."


def to_page_token(key: PageKey | None) -> str:
    """The token of the page behind this place; empty where there is none."""
    if key is None:
        return ""
    return _encode(f"{to_millis(key.execution_time)}.{key.id}")


def from_page_token(token: str) -> PageKey | None:
    """The place behind which the page begins; None (the first page) for an empty token.

    Raises:
        InvalidRequest: not a token of this server.

    """
    if not token:
        return None
    millis, dot, id = _decode(token).partition(".")
    try:
        key = PageKey(from_millis(int(millis)), id)
    except (ValueError, OverflowError):
        raise _wrong() from None
    # One place has one token: whatever would come out otherwise was made by somebody else.
    if not dot or not 0 < len(id) <= ID_MAX_LENGTH or to_page_token(key) != token:
        raise _wrong()
    return key


def to_schedule_token(id: str | None) -> str:
    """The token of the page of schedules behind this id; empty where there is none."""
    return "" if id is None else _encode(_SCHEDULE + id)


def from_schedule_token(token: str) -> str | None:
    """The id behind which a page of schedules begins; None (the first page) for an empty token.

    Raises:
        InvalidRequest: not a token of this server.

    """
    if not token:
        return None
    id = _decode(token).removeprefix(_SCHEDULE)
    if not 0 < len(id) <= SCHEDULE_ID_MAX_LENGTH or to_schedule_token(id) != token:
        raise _wrong()
    return id


def _encode(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _decode(token: str) -> str:
    try:
        padded = token.encode("ascii") + b"=" * (-len(token) % 4)
        return base64.b64decode(padded, altchars=b"-_", validate=True).decode()
    except (ValueError, binascii.Error):
        raise _wrong() from None


def _wrong() -> InvalidRequest:
    return InvalidRequest.of(
        _FIELD,
        "not a token of this server; use the next_page_token of the page before as it came,"
        " or leave it empty for the first page",
    )
