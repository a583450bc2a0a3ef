"""Page tokens: a place in the list, or in an export, in a form that nobody should read or make."""

from __future__ import annotations

import base64
import binascii

from later_core.errors import InvalidRequest, ResumeTokenInvalid
from later_core.model.instant import from_millis, to_millis
from later_core.model.limits import ID_MAX_LENGTH, SCHEDULE_ID_MAX_LENGTH
from later_core.model.query import PageKey
from later_core.model.transfer import ExportPlace

_FIELD = "page_token"

#: Tells a place among schedules from one among instances, which begins with a number.
_SCHEDULE = "schedule."

#: Tells a place in an export, and the form in which it is written.
_EXPORT = "export.1"


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


def to_export_token(place: ExportPlace) -> str:
    """The token of the rest of an export."""
    key = place.instance
    parts = [
        _EXPORT,
        place.moment,
        "schedules" if place.are_instances_through or place.schedule else "instances",
        place.schedule or "",
        "" if key is None else f"{to_millis(key.execution_time)} {key.id}",
    ]
    return _encode("\n".join(parts))


def from_export_token(token: str) -> ExportPlace | None:
    """Where an export goes on; None (from the beginning) for an empty token.

    Raises:
        ResumeTokenInvalid: not a token of this server.

    """
    if not token:
        return None
    try:
        _, moment, phase, schedule, behind = _decode(token).split("\n")
        millis, _, id = behind.partition(" ")
        place = ExportPlace(
            moment=moment,
            instance=PageKey(from_millis(int(millis)), id) if behind else None,
            are_instances_through=phase == "schedules",
            schedule=schedule or None,
        )
    except (ValueError, OverflowError, InvalidRequest):
        raise ResumeTokenInvalid from None
    if to_export_token(place) != token:
        raise ResumeTokenInvalid
    return place


def to_named_token(id: str | None, kind: str) -> str:
    """The token of the page, in a list of this kind, behind this id; empty where there is none."""
    return "" if id is None else _encode(f"{kind}.{id}")


def from_named_token(token: str, kind: str) -> str | None:
    """The id behind which a page begins; None (the first page) for an empty token.

    Raises:
        InvalidRequest: not a token of a list of this kind of this server.

    """
    if not token:
        return None
    id = _decode(token).removeprefix(f"{kind}.")
    if not 0 < len(id) <= ID_MAX_LENGTH or to_named_token(id, kind) != token:
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
