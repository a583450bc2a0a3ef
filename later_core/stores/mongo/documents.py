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
sealed     the name of the key with which its parameters are encrypted
========== =================================================================================
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog

from later_core.errors import EncryptionKeyMissing
from later_core.model.bucket import bucket_of
from later_core.model.concurrency import Concurrency
from later_core.model.instance import NO_LABELS, Delivery, Instance, InstanceError
from later_core.model.instant import round_up
from later_core.model.retry import NO_RETRY, RetryPolicy
from later_core.model.state import State
from later_core.stores.mongo.connection import Document
from later_core.stores.mongo.histories import attempt_document, attempts_of
from later_core.stores.mongo.key_ring import NO_KEYS, KeyRing

logger = structlog.get_logger(__name__)

_MICROSECOND = timedelta(microseconds=1)
_STATES = {state.value: state for state in State}
_DELIVERIES = {delivery.value: delivery for delivery in Delivery}


#: What is encrypted where there are keys.
SEALED_FIELDS = frozenset({"parameters", "fingerprint", "result"})


class UnreadableRecord(ValueError):
    """A document that is no instance."""


def label_of(key: str, value: str) -> str:
    """One label as it stands in the array."""
    return f"{key}={value}"


def to_document(instance: Instance, keys: KeyRing = NO_KEYS) -> Document:
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
    if instance.parameters:
        document["parameters"] = instance.parameters
    if instance.principal:
        document["principal"] = instance.principal
    document.update(_policies(instance))
    document.update(_course(instance))
    if keys.newest is not None:
        _seal(document, keys)
    return document


def _seal(document: Document, keys: KeyRing) -> None:
    id = document["_id"]
    # The fingerprint too: it would let parameters be guessed, and shows which are equal.
    for field in SEALED_FIELDS & document.keys():
        document[field] = keys.seal(document[field], record=id, field=field)
    document["sealed"] = keys.newest


def _policies(i: Instance) -> Document:
    """What the client may have asked for beside the task. Most ask for nothing: the path of every create."""
    fields: Document = {}
    if i.retry is not NO_RETRY and i.retry != NO_RETRY:
        fields["retry"] = retry_document(i.retry)
    if i.timeout is not None:
        fields["timeout"] = duration_field(i.timeout)
    if i.start_deadline is not None:
        fields["start_deadline"] = duration_field(i.start_deadline)
    if i.delivery is not Delivery.AT_LEAST_ONCE:
        fields["delivery"] = i.delivery.value
    if i.labels:
        fields["labels"] = [label_of(key, value) for key, value in i.labels.items()]
    if i.concurrency is not None:
        fields["concurrency"] = concurrency_document(i.concurrency)
    if i.priority:
        fields["priority"] = i.priority
    if i.schedule_id is not None:
        fields["schedule_id"] = i.schedule_id
    if i.trace_parent is not None:
        fields["trace_parent"] = i.trace_parent
    return fields


def _course(i: Instance) -> Document:
    """What has become of it; nothing yet when it is new."""
    fields: Document = {}
    if i.uncounted_attempts:
        fields["uncounted_attempts"] = i.uncounted_attempts
    if i.node is not None:
        fields["node"] = i.node
    if i.start_time is not None:
        fields["start_time"] = i.start_time
    if i.finish_time is not None:
        fields["finish_time"] = i.finish_time
    if i.result:
        fields["result"] = result_field(i.result)
    if i.error is not None:
        fields["error"] = error_field(i.error)
    if i.attempts:
        fields["attempts"] = [attempt_document(attempt) for attempt in i.attempts]
    return fields


def duration_field(duration: timedelta | None) -> int | None:
    """A duration as it stands in a document."""
    return None if duration is None else duration // _MICROSECOND


def retry_document(retry: RetryPolicy) -> Document:
    """A retry policy as it stands in a document."""
    document: Document = {
        "max_attempts": retry.max_attempts,
        "min_backoff": retry.min_backoff // _MICROSECOND,
        "max_backoff": retry.max_backoff // _MICROSECOND,
        "multiplier": retry.multiplier,
        "jitter": retry.jitter,
    }
    if retry.final_reasons:
        document["final_reasons"] = list(retry.final_reasons)
    return document


def concurrency_document(concurrency: Concurrency) -> Document:
    """A concurrency key and its limit as they stand in a document."""
    return {"key": concurrency.key, "limit": concurrency.limit}


def concurrency_of(value: Any) -> Concurrency:
    """The concurrency key and limit that stand in a document."""
    return Concurrency(key=_checked(value["key"], str), limit=_whole(value["limit"]))


def payload(document: Document) -> int:
    """How many bytes of parameters and result a document brings, readable or not."""
    values = document.get("parameters"), document.get("result")
    return sum(len(value) for value in values if isinstance(value, bytes))


def result_field(result: bytes) -> bytes | None:
    """A result as it stands in a document."""
    return result or None


def error_field(error: InstanceError | None) -> Document | None:
    """An error as it stands in a document."""
    return None if error is None else {"reason": error.reason, "message": error.message}


def to_instance(document: Document, keys: KeyRing = NO_KEYS) -> Instance:
    """The instance of a document.

    Raises:
        EncryptionKeyMissing: it is encrypted with a key that is not here.
        UnreadableRecord: a field is missing, or not of its type.

    """
    get = document.get
    try:
        id = _checked(document["_id"], str)
        return Instance(
            id=id,
            task=_checked(document["task"], str),
            execution_time=_instant(document["execution_time"]),
            create_time=_instant(document["create_time"]),
            parameters=keys.open(get("parameters") or b"", record=id, field="parameters"),
            state=_STATES[document["state"]],
            attempt=_whole(document["attempt"]),
            uncounted_attempts=_whole(get("uncounted_attempts") or 0),
            revision=_whole(document["revision"]),
            retry=NO_RETRY if (retry := get("retry")) is None else retry_of(retry),
            timeout=None if (timeout := get("timeout")) is None else _duration(timeout),
            start_deadline=None if (late := get("start_deadline")) is None else _duration(late),
            delivery=_DELIVERIES[get("delivery") or "AT_LEAST_ONCE"],
            labels=_labels(labels) if (labels := get("labels")) else NO_LABELS,
            concurrency=None if (most := get("concurrency")) is None else concurrency_of(most),
            priority=_whole(get("priority") or 0),
            schedule_id=_optional(get("schedule_id"), str),
            trace_parent=_optional(get("trace_parent"), str),
            principal=_checked(get("principal") or "", str),
            fingerprint=keys.open(get("fingerprint") or b"", record=id, field="fingerprint"),
            node=_optional(get("node"), str),
            start_time=None if (start := get("start_time")) is None else _instant(start),
            finish_time=None if (finish := get("finish_time")) is None else _instant(finish),
            result=keys.open(get("result") or b"", record=id, field="result"),
            error=None if (error := get("error")) is None else _error(error),
            attempts=(
                attempts_of(document, instant=_instant, error_of=_error)
                if get("attempts") or get("finish_time") is not None
                else ()
            ),
        )
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as wrong:
        raise UnreadableRecord(f"{type(wrong).__name__}: {wrong}") from wrong


def readable(
    document: Document,
    keys: KeyRing = NO_KEYS,
    locked: list[EncryptionKeyMissing] | None = None,
) -> Instance | None:
    """The instance of a document; None, and a line in the log, when it is none.

    One whose key is missing is put into ``locked`` besides.
    """
    try:
        return to_instance(document, keys)
    except EncryptionKeyMissing as missing:
        tell_of_missing_key(missing, keys)
        if locked is not None:
            locked.append(missing)
        return None
    except UnreadableRecord as error:
        detail = str(error)
    logger.error("unreadable record", id=str(document.get("_id")), detail=detail)
    return None


def tell_of_missing_key(missing: EncryptionKeyMissing, keys: KeyRing) -> None:
    """One line in the log for each record whose key is not here."""
    if keys.should_tell(missing.id):
        logger.error("encryption key missing", id=missing.id, key=missing.key, detail=str(missing))


def readable_ones(documents: Iterable[Document], keys: KeyRing = NO_KEYS) -> Iterator[Instance]:
    """The instances among the documents; the others are logged and left out."""
    return (
        instance for document in documents if (instance := readable(document, keys)) is not None
    )


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


def _whole(value: Any) -> int:
    return value if value.__class__ is int else int(_checked(value, int))


def _duration(value: Any) -> timedelta:
    return timedelta(microseconds=_checked(value, int))


def retry_of(value: Any) -> RetryPolicy:
    """The retry policy that stands in a document."""
    return RetryPolicy(
        max_attempts=_whole(value["max_attempts"]),
        min_backoff=timedelta(microseconds=_checked(value["min_backoff"], int)),
        max_backoff=timedelta(microseconds=_checked(value["max_backoff"], int)),
        multiplier=float(value["multiplier"]),
        # Written before there was jitter: it is still retried as it was promised then.
        jitter=float(value.get("jitter", 0.0)),
        final_reasons=tuple(
            _checked(one, str) for one in _checked(value.get("final_reasons", []), list)
        ),
    )


def _labels(value: Any) -> Any:
    return dict(label.split("=", 1) for label in _checked(value, list))


def _error(value: Any) -> InstanceError:
    return InstanceError(
        reason=_checked(value["reason"], str), message=_checked(value["message"], str)
    )
