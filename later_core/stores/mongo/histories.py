"""The history of attempts in a document.

The array ``attempts`` holds those that ended and left the instance to be tried again. The attempt that
ended the instance is not in it: the document shows all of that one already (``attempt``, ``node``,
``start_time``, ``finish_time``, ``error``), so that an instance whose first attempt succeeds pays nothing.
It is added when the document is read, and by the retry that would else lose it. A document that was
restored from an export has its whole history in the array, and lacks the marks of the write that ended it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from later_core.model.attempts import ABORTED, shortened
from later_core.model.instance import Attempt, InstanceError
from later_core.model.limits import ATTEMPT_MESSAGE_MAX_LENGTH, ATTEMPTS_KEPT
from later_core.stores.mongo.connection import Document


def attempt_document(attempt: Attempt) -> Document:
    """An attempt as it stands in the array."""
    error = attempt.error
    return {
        "number": attempt.number,
        "node": attempt.node,
        "start_time": attempt.start_time,
        "end_time": attempt.end_time,
        "error": None if error is None else {"reason": error.reason, "message": error.message},
    }


def attempts_of(
    document: Document,
    *,
    instant: Callable[[Any], Any],
    error_of: Callable[[Any], InstanceError],
) -> tuple[Attempt, ...]:
    """The last attempts that have ended, the one that ended the instance included.

    Raises whatever reading a malformed one raises.
    """

    def optional(value: Any) -> Any:
        return None if value is None else instant(value)

    stored = tuple(
        Attempt(
            number=int(one["number"]),
            node=str(one["node"]),
            start_time=optional(one.get("start_time")),
            end_time=instant(one["end_time"]),
            error=None if (error := one.get("error")) is None else error_of(error),
        )
        for one in document.get("attempts") or ()
    )
    number = document["attempt"]
    if not _ended_with_an_attempt(document) or (stored and stored[-1].number == number):
        return stored
    error = document.get("error")
    last = Attempt(
        number=number,
        node=str(document.get("node") or ""),
        start_time=optional(document.get("start_time")),
        end_time=instant(document["finish_time"]),
        error=_error_of_end(document["state"], error and error_of(error)),
    )
    return (*stored, last)[-ATTEMPTS_KEPT:]


def _ended_with_an_attempt(document: Document) -> bool:
    state = document["state"]
    if state == "ABORTED":
        return document.get("aborted_at") == "RUNNING"
    return state in ("SUCCEEDED", "FAILED") and ("ending" in document or "taken" in document)


def _error_of_end(state: str, error: InstanceError | None) -> InstanceError | None:
    match state:
        case "SUCCEEDED":
            return None
        case "ABORTED":
            return ABORTED
        case _:
            return error and shortened(error)


# -- expressions of an update's pipeline ---------------------------------------------------------


def appended(attempts: object) -> Document:
    """The array with this array of attempts behind it, and no more than are kept."""
    stored = {"$ifNull": ["$attempts", []]}
    return {"$slice": [{"$concatArrays": [stored, attempts]}, -ATTEMPTS_KEPT]}


def of_running(*, end_time: object, error: InstanceError) -> list[Document]:
    """The attempt that a RUNNING document is in, ended so."""
    return [
        {
            "number": "$attempt",
            "node": {"$ifNull": ["$node", ""]},
            "start_time": "$start_time",
            "end_time": end_time,
            "error": {"$literal": {"reason": error.reason, "message": error.message}},
        }
    ]


def _is_there(field: str) -> Document:
    return {"$ne": [{"$type": field}, "missing"]}


def with_last_of_ended() -> Document:
    """The array of an ended document with the attempt that ended it, if one did."""
    message = {"$substrCP": [{"$ifNull": ["$error.message", ""]}, 0, ATTEMPT_MESSAGE_MAX_LENGTH]}
    last = {
        "number": "$attempt",
        "node": {"$ifNull": ["$node", ""]},
        "start_time": "$start_time",
        "end_time": "$finish_time",
        "error": {
            "$switch": {
                "branches": [
                    {"case": {"$eq": ["$state", "SUCCEEDED"]}, "then": None},
                    {
                        "case": {"$eq": ["$state", "ABORTED"]},
                        "then": {
                            "$literal": {"reason": ABORTED.reason, "message": ABORTED.message}
                        },
                    },
                ],
                "default": {
                    "$cond": [
                        {"$eq": [{"$type": "$error"}, "object"]},
                        {"reason": "$error.reason", "message": message},
                        None,
                    ]
                },
            }
        },
    }
    is_stored = {"$eq": [{"$last": {"$ifNull": ["$attempts.number", []]}}, "$attempt"]}
    has_ended_it = {
        "$and": [
            {"$gt": ["$attempt", 0]},
            {
                "$cond": [
                    {"$eq": ["$state", "ABORTED"]},
                    {"$eq": ["$aborted_at", "RUNNING"]},
                    {"$or": [_is_there("$ending"), _is_there("$taken")]},
                ]
            },
            {"$not": [is_stored]},
        ]
    }
    return {"$cond": [has_ended_it, appended([last]), "$attempts"]}
