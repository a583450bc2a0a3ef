"""Documents <-> values: how an instance stands in MongoDB.

A document has the names of ``Instance``; ``_id`` is the id. What is at its default is left out or
null. Dates are UTC to the millisecond, durations whole microseconds (int64), bytes are Binary of
subtype 0, labels an array of ``key=value`` (a key holds no ``=``). Beside them a document has:

========== =================================================================================
bucket     0 to 255, a hash of the id: how nodes share the load
claim      which call of ``claim`` made it RUNNING
ending     which ``Ending`` was written last: tells a repeated call from a fenced one
aborted_at the state that an abort found (``PENDING`` or ``RUNNING``)
taken      which call of ``recover`` or ``reclaim`` took it from its node
========== =================================================================================
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog

from later_core.model.bucket import bucket_of
from later_core.model.instance import NO_LABELS, Delivery, Instance, InstanceError
from later_core.model.instant import round_up
from later_core.model.retry import NO_RETRY, RetryPolicy
from later_core.model.state import State
from later_core.stores.mongo.connection import Document

logger = structlog.get_logger(__name__)

_MICROSECOND = timedelta(microseconds=1)
_STATES = {state.value: state for state in State}
_DELIVERIES = {delivery.value: delivery for delivery in Delivery}


class UnreadableRecord(ValueError):
    """A document that is no instance."""


def label_of(key: str, value: str) -> str:
    """One label as it stands in the array."""
    return f"{key}={value}"


def to_document(instance: Instance) -> Document:
    """The document of an instance. Its execution time is rounded up, lest it start early."""
    document: Document = {
        "_id": instance.id,
        "task": instance.task,
        "state": instance.state.value,
        "execution_time": round_up(instance.execution_time),
        "create_time": instance.create_time,
        "attempt": instance.attempt,
        "revision": instance.revision,
        "bucket": bucket_of(instance.id),
        "fingerprint": instance.fingerprint,
    }
    for field, value in _what_may_be_missing(instance):
        if value is not None:
            document[field] = value
    return document


def _what_may_be_missing(i: Instance) -> Sequence[tuple[str, Any]]:
    return (
        ("parameters", i.parameters or None),
        ("uncounted_attempts", i.uncounted_attempts or None),
        ("retry", None if i.retry == NO_RETRY else retry_document(i.retry)),
        ("timeout", duration_field(i.timeout)),
        ("start_deadline", duration_field(i.start_deadline)),
        ("delivery", None if i.delivery is Delivery.AT_LEAST_ONCE else i.delivery.value),
        ("labels", [label_of(key, value) for key, value in i.labels.items()] or None),
        ("schedule_id", i.schedule_id),
        ("node", i.node),
        ("start_time", i.start_time),
        ("finish_time", i.finish_time),
        ("result", result_field(i.result)),
        ("error", error_field(i.error)),
    )


def duration_field(duration: timedelta | None) -> int | None:
    """A duration as it stands in a document."""
    return None if duration is None else duration // _MICROSECOND


def retry_document(retry: RetryPolicy) -> Document:
    """A retry policy as it stands in a document."""
    return {
        "max_attempts": retry.max_attempts,
        "min_backoff": retry.min_backoff // _MICROSECOND,
        "max_backoff": retry.max_backoff // _MICROSECOND,
        "multiplier": retry.multiplier,
    }


def result_field(result: bytes) -> bytes | None:
    """A result as it stands in a document."""
    return result or None


def error_field(error: InstanceError | None) -> Document | None:
    """An error as it stands in a document."""
    return None if error is None else {"reason": error.reason, "message": error.message}


def to_instance(document: Document) -> Instance:
    """The instance of a document.

    Raises:
        UnreadableRecord: a field is missing, or not of its type.

    """
    try:
        return Instance(
            id=_checked(document["_id"], str),
            task=_checked(document["task"], str),
            execution_time=_instant(document["execution_time"]),
            create_time=_instant(document["create_time"]),
            parameters=_checked(document.get("parameters") or b"", bytes),
            state=_STATES[document["state"]],
            attempt=int(_checked(document["attempt"], int)),
            uncounted_attempts=int(_checked(document.get("uncounted_attempts") or 0, int)),
            revision=int(_checked(document["revision"], int)),
            retry=_retry(document.get("retry")),
            timeout=_duration(document.get("timeout")),
            start_deadline=_duration(document.get("start_deadline")),
            delivery=_DELIVERIES[document.get("delivery") or "AT_LEAST_ONCE"],
            labels=_labels(document.get("labels")),
            schedule_id=_optional(document.get("schedule_id"), str),
            fingerprint=_checked(document.get("fingerprint") or b"", bytes),
            node=_optional(document.get("node"), str),
            start_time=_optional_instant(document.get("start_time")),
            finish_time=_optional_instant(document.get("finish_time")),
            result=_checked(document.get("result") or b"", bytes),
            error=_error(document.get("error")),
        )
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise UnreadableRecord(f"{type(error).__name__}: {error}") from error


def readable(document: Document) -> Instance | None:
    """The instance of a document; None, and a line in the log, when it is none."""
    try:
        return to_instance(document)
    except UnreadableRecord as error:
        detail = str(error)
    logger.error("unreadable record", id=str(document.get("_id")), detail=detail)
    return None


def readable_ones(documents: Iterable[Document]) -> Iterator[Instance]:
    """The instances among the documents; the others are logged and left out."""
    return (instance for document in documents if (instance := readable(document)) is not None)


def to_instant(value: datetime) -> datetime:
    """The instant of a date as the driver gives it (without a zone, and UTC)."""
    return value.replace(tzinfo=UTC)


def _checked(value: Any, type: type[Any]) -> Any:
    if not isinstance(value, type):
        raise TypeError(f"{type.__name__} expected, found {value.__class__.__name__}")
    return value


def _optional(value: Any, type: type[Any]) -> Any:
    return None if value is None else _checked(value, type)


def _instant(value: Any) -> datetime:
    if value.__class__ is not datetime:
        raise TypeError(f"date expected, found {value.__class__.__name__}")
    return to_instant(value)


def _optional_instant(value: Any) -> datetime | None:
    return None if value is None else _instant(value)


def _duration(value: Any) -> timedelta | None:
    return None if value is None else timedelta(microseconds=_checked(value, int))


def _retry(value: Any) -> RetryPolicy:
    if value is None:
        return NO_RETRY
    return RetryPolicy(
        max_attempts=int(_checked(value["max_attempts"], int)),
        min_backoff=timedelta(microseconds=_checked(value["min_backoff"], int)),
        max_backoff=timedelta(microseconds=_checked(value["max_backoff"], int)),
        multiplier=float(value["multiplier"]),
    )


def _labels(value: Any) -> Any:
    if not value:
        return NO_LABELS
    return dict(label.split("=", 1) for label in _checked(value, list))


def _error(value: Any) -> InstanceError | None:
    if value is None:
        return None
    return InstanceError(
        reason=_checked(value["reason"], str), message=_checked(value["message"], str)
    )
