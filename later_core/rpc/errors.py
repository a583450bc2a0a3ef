"""Errors on the wire: one table from what can go wrong to gRPC's status codes, with google.rpc details.

Every status carries an ErrorInfo (domain ``later``, the stable reason, the error's data); wrong
fields come as a BadRequest, a quota that is used up as a QuotaFailure, what is worth another try with a
RetryInfo. Nothing internal leaks:
what is not a LaterError is INTERNAL to the client and a traceback in the log.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import grpc
import structlog
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from later_core.errors import (
    EncryptionKeyMissing,
    EtagMismatch,
    FieldViolation,
    HistoryLost,
    InstanceAlreadyExists,
    InvalidRequest,
    LaterError,
    LimitReached,
    Misconfigured,
    NotFound,
    PendingLimitReached,
    PermissionDenied,
    QuotaExceeded,
    RevisionMismatch,
    ScheduleAlreadyExists,
    ServerOverloaded,
    ServerStopping,
    StoreUnavailable,
    Unauthenticated,
    WrongState,
)
from later_core.rpc.times import to_duration

log = structlog.get_logger(__name__)

DOMAIN = "later"
STATUS_DETAILS_KEY = "grpc-status-details-bin"

#: The nearest class of the error's ancestry decides.
CODES: dict[type[LaterError], grpc.StatusCode] = {
    InvalidRequest: grpc.StatusCode.INVALID_ARGUMENT,
    NotFound: grpc.StatusCode.NOT_FOUND,
    InstanceAlreadyExists: grpc.StatusCode.ALREADY_EXISTS,
    ScheduleAlreadyExists: grpc.StatusCode.ALREADY_EXISTS,
    WrongState: grpc.StatusCode.FAILED_PRECONDITION,
    EncryptionKeyMissing: grpc.StatusCode.FAILED_PRECONDITION,
    RevisionMismatch: grpc.StatusCode.ABORTED,
    EtagMismatch: grpc.StatusCode.ABORTED,
    Unauthenticated: grpc.StatusCode.UNAUTHENTICATED,
    PermissionDenied: grpc.StatusCode.PERMISSION_DENIED,
    LimitReached: grpc.StatusCode.RESOURCE_EXHAUSTED,
    HistoryLost: grpc.StatusCode.DATA_LOSS,
    StoreUnavailable: grpc.StatusCode.UNAVAILABLE,
    ServerStopping: grpc.StatusCode.UNAVAILABLE,
    # Ends the process before it serves; should one come later, it is no business of a client's.
    Misconfigured: grpc.StatusCode.INTERNAL,
}

#: When a client should try again that met a database which was away.
_RETRY_AFTER = timedelta(seconds=1)

#: Trailing metadata travels in HTTP/2 headers, of which many clients take 8 KiB: the message comes
#: twice (once percent-encoded), the details once (in base64), and this is how much they may hold.
_MESSAGE_MAX_BYTES = 500
_FIELD_MAX_BYTES = 200
_VIOLATIONS_MAX_BYTES = 1500
#: In the answer to a batch of 1,000 each error must be shorter.
_BRIEF_VIOLATIONS_MAX_BYTES = 500


def code_of(error: LaterError) -> grpc.StatusCode:
    """The status code of this kind of error."""
    return next(
        (CODES[kind] for kind in type(error).__mro__ if kind in CODES), grpc.StatusCode.UNKNOWN
    )


def to_status(error: BaseException, *, brief: bool = False) -> status_pb2.Status:
    """The error as a google.rpc.Status; ``brief`` where many of them share a response.

    An exception that is not Later's own is logged here with its traceback.
    """
    if not isinstance(error, LaterError) or isinstance(error, Misconfigured):
        log.error("unexpected error in a request", exc_info=error)
        return _internal()
    if isinstance(error, StoreUnavailable) and error.detail:
        log.debug("store unavailable", detail=error.detail)
    number, _ = code_of(error).value
    status = status_pb2.Status(code=number, message=_cut(str(error), _MESSAGE_MAX_BYTES))
    info = error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=error.metadata)
    _add(status, info)
    if isinstance(error, InvalidRequest):
        limit = _BRIEF_VIOLATIONS_MAX_BYTES if brief else _VIOLATIONS_MAX_BYTES
        _add(status, _bad_request(error.violations, limit))
    if isinstance(error, QuotaExceeded | PendingLimitReached):
        _add(status, _quota_failure(error))
    if (delay := _retry_after(error)) is not None:
        _add(status, error_details_pb2.RetryInfo(retry_delay=to_duration(delay)))
    return status


def _retry_after(error: LaterError) -> timedelta | None:
    match error:
        case StoreUnavailable() | ServerStopping():
            return _RETRY_AFTER
        case ServerOverloaded() | QuotaExceeded() | PendingLimitReached():
            return timedelta(seconds=error.retry_after)
        case _:
            return None


def _quota_failure(error: QuotaExceeded | PendingLimitReached) -> error_details_pb2.QuotaFailure:
    failure = error_details_pb2.QuotaFailure()
    subject = f"principal:{error.principal}" if error.principal else "everybody"
    failure.violations.add(subject=subject, description=_cut(str(error), _MESSAGE_MAX_BYTES))
    return failure


def trailing_metadata(status: status_pb2.Status) -> tuple[tuple[str, str | bytes], ...]:
    """What carries the details of a status beside its code and message."""
    details = (STATUS_DETAILS_KEY, status.SerializeToString())
    if status.code == grpc.StatusCode.UNAVAILABLE.value[0]:
        # Channels repeat a call by themselves when the connection broke. Here the server has
        # already waited for the database: to do so three times over helps nobody (gRFC A6).
        return details, ("grpc-retry-pushback-ms", "-1")
    return (details,)


def _internal() -> status_pb2.Status:
    number, _ = grpc.StatusCode.INTERNAL.value
    status = status_pb2.Status(code=number, message="internal error")
    _add(status, error_details_pb2.ErrorInfo(reason="INTERNAL", domain=DOMAIN))
    return status


def _bad_request(violations: Sequence[FieldViolation], limit: int) -> error_details_pb2.BadRequest:
    """As many violations as fit; the last one then says how many more there are."""
    bad_request = error_details_pb2.BadRequest()
    for index, violation in enumerate(violations):
        shown = bad_request.field_violations.add(
            field=_cut(violation.field, _FIELD_MAX_BYTES),
            description=_cut(violation.description, _MESSAGE_MAX_BYTES),
            reason="INVALID_REQUEST",
        )
        if bad_request.ByteSize() > limit and index + 1 < len(violations):
            shown.description += f" (and {len(violations) - index - 1} more wrong fields)"
            break
    return bad_request


def _add(status: status_pb2.Status, detail: Message) -> None:
    status.details.add().Pack(detail)


def _cut(text: str, limit: int) -> str:
    data = text.encode(errors="replace")
    return text if len(data) <= limit else data[:limit].decode(errors="ignore") + "…"
