"""Positions in the history, as text that compares in the order of history.

A position is the hex of a resume token of MongoDB: ``82``, the cluster time (seconds, then a
counter, 8 digits each), then what tells apart the events of one cluster time. A moment, which is
where a snapshot was read, has the first 18 digits alone, those of the next cluster time: it sorts
behind every token up to the moment, and before every later one.
"""

from __future__ import annotations

import re

from bson import Timestamp

from later_core.errors import ResumeTokenInvalid
from later_core.stores.mongo.connection import Document

_FORM = re.compile(r"82([0-9A-F]{8})([0-9A-F]{8})((?:[0-9A-F]{2})*)")
_MOMENT = re.compile(r"([0-9A-F]{8})([0-9A-F]{8})")


def of_token(token: Document) -> str:
    """The position of a resume token as the server gives it."""
    return str(token["_data"])


def just_behind(moment: Timestamp) -> str:
    """The position behind everything up to this cluster time, and before everything later."""
    return f"82{moment.time:08X}{moment.inc + 1:08X}"


def of_moment(moment: Timestamp) -> str:
    """A moment as text, to be read at again."""
    return f"{moment.time:08X}{moment.inc:08X}"


def to_moment(text: str) -> Timestamp:
    """The moment in it.

    Raises:
        ResumeTokenInvalid: not a moment of this store.

    """
    match = _MOMENT.fullmatch(text)
    if match is None:
        raise ResumeTokenInvalid
    return Timestamp(int(match[1], 16), int(match[2], 16))


def time_of(position: str) -> Timestamp:
    """The cluster time in it.

    Raises:
        ResumeTokenInvalid: not a position of this store.

    """
    match = _FORM.fullmatch(position)
    if match is None:
        raise ResumeTokenInvalid
    return Timestamp(int(match[1], 16), int(match[2], 16))


def start_option(position: str) -> Document:
    """How a change stream is told to begin behind the position.

    Raises:
        ResumeTokenInvalid: not a position of this store.

    """
    moment = time_of(position)
    if len(position) == len("82") + 16:
        return {"startAtOperationTime": moment}
    return {"resumeAfter": {"_data": position}}
