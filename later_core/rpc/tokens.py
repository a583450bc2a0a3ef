"""Page tokens: a place in the list, in a form that nobody should read or make."""

from __future__ import annotations

import base64
import binascii

from later_core.errors import InvalidRequest
from later_core.model.instant import from_millis, to_millis
from later_core.model.limits import ID_MAX_LENGTH
from later_core.model.query import PageKey

_FIELD = "page_token"


def to_page_token(key: PageKey | None) -> str:
    """The token of the page behind this place; empty where there is none."""
    if key is None:
        return ""
    text = f"{to_millis(key.execution_time)}.{key.id}"
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def from_page_token(token: str) -> PageKey | None:
    """The place behind which the page begins; None (the first page) for an empty token.

    Raises:
        InvalidRequest: not a token of this server.

    """
    if not token:
        return None
    try:
        padded = token.encode("ascii") + b"=" * (-len(token) % 4)
        text = base64.b64decode(padded, altchars=b"-_", validate=True).decode()
        millis, dot, id = text.partition(".")
        key = PageKey(from_millis(int(millis)), id)
    except (ValueError, OverflowError, binascii.Error):
        raise _wrong() from None
    # One place has one token: whatever would come out otherwise was made by somebody else.
    if not dot or not 0 < len(id) <= ID_MAX_LENGTH or to_page_token(key) != token:
        raise _wrong()
    return key


def _wrong() -> InvalidRequest:
    return InvalidRequest.of(
        _FIELD,
        "not a token of this server; use the next_page_token of a ListInstancesResponse as it came,"
        " or leave it empty for the first page",
    )
