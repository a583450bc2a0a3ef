"""What a call can answer instead of a result, as the client sees it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import cast

import grpc
from google.protobuf.message import DecodeError
from google.rpc import code_pb2, error_details_pb2, status_pb2

from later_core.errors import FieldViolation, ServerStopping


class RpcError(Exception):
    """A call that failed. ``str(error)`` is one line for people.

    ``code`` is the name of the gRPC status (``NOT_FOUND``). ``reason`` is the stable word of the
    server's error (``INSTANCE_NOT_FOUND``), ``SERVER_UNREACHABLE`` where no server answered,
    ``SERVERS_NOT_SERVING`` where several did and none is healthy, else empty. ``violations`` name the
    wrong fields of a request; ``metadata`` is the error's data; ``retry_after``: how many seconds the
    server asks to wait before another try, None where it does not say.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        reason: str = "",
        violations: Sequence[FieldViolation] = (),
        metadata: Mapping[str, str] | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.code = code
        self.message = message
        self.reason = reason
        self.violations = tuple(violations)
        self.metadata = dict(metadata or {})


class TlsFailed(RpcError):
    """Client and server do not agree on how to encrypt, or whom to trust; a person must mend it."""

    def __init__(self, reason: str, address: str, complaint: str) -> None:
        super().__init__(
            "UNAVAILABLE",
            f"the server at {address} {complaint}",
            reason=reason,
            metadata={"address": address},
        )


SERVER_UNREACHABLE = "SERVER_UNREACHABLE"
SERVERS_NOT_SERVING = "SERVERS_NOT_SERVING"
NO_ANSWER_IN_TIME = "NO_ANSWER_IN_TIME"
CONNECTION_AGED = "CONNECTION_AGED"

#: Where gRPC puts a google.rpc.Status.
_STATUS_DETAILS = "grpc-status-details-bin"
#: What gRPC says where the server closes a connection for its age (LATER_CONNECTION_AGE).
_AGED = "max connection age"
#: What gRPC says where every server of a shared address is there and does not serve.
_UNHEALTHY = "backend unhealthy"


def from_status(status: status_pb2.Status) -> RpcError:
    """The error that a google.rpc.Status describes. Details of unknown types are passed over."""
    reason = ""
    retry_after: float | None = None
    metadata: dict[str, str] = {}
    violations: list[FieldViolation] = []
    for detail in status.details:
        if detail.Is(error_details_pb2.ErrorInfo.DESCRIPTOR):
            info = error_details_pb2.ErrorInfo()
            detail.Unpack(info)
            reason, metadata = info.reason, dict(info.metadata)
        elif detail.Is(error_details_pb2.RetryInfo.DESCRIPTOR):
            retry = error_details_pb2.RetryInfo()
            detail.Unpack(retry)
            retry_after = retry.retry_delay.ToTimedelta().total_seconds()
        elif detail.Is(error_details_pb2.BadRequest.DESCRIPTOR):
            bad_request = error_details_pb2.BadRequest()
            detail.Unpack(bad_request)
            violations += [
                FieldViolation(v.field, v.description) for v in bad_request.field_violations
            ]
    return RpcError(
        _code_name(status.code),
        status.message,
        reason=reason,
        violations=violations,
        metadata=metadata,
        retry_after=retry_after,
    )


def from_call(error: grpc.aio.AioRpcError, *, address: str) -> RpcError:
    """The error that a failed call describes; ``address`` is the server's, for the message."""
    status = _status_of(error)
    if status is not None:
        return from_status(status)
    code = error.code()
    message = error.details() or ""
    if code is grpc.StatusCode.UNAVAILABLE:
        return _unavailable(message, address)
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return RpcError(
            code.name,
            f"the server at {address} did not answer in time; it may have done what it was asked",
            reason=NO_ANSWER_IN_TIME,
            metadata={"address": address},
        )
    if code is grpc.StatusCode.CANCELLED:
        # Not by this client, whose own cancelling is no AioRpcError.
        return RpcError(
            "UNAVAILABLE",
            f"the server at {address} was stopped; it may have done what it was asked",
            reason=ServerStopping.reason,
            metadata={"address": address},
        )
    if code is grpc.StatusCode.UNIMPLEMENTED:
        message = f"what listens at {address} is no Later server, or an older one: {message}"
    return RpcError(code.name, message)


def _unavailable(message: str, address: str) -> RpcError:
    """What gRPC itself says; every UNAVAILABLE of a Later server carries details."""
    if message == _AGED:
        reason = CONNECTION_AGED
        meant = f"the server at {address} asks its clients to connect anew now and then"
    elif message.endswith(_UNHEALTHY):
        reason = SERVERS_NOT_SERVING
        meant = (
            f"of the servers at {address} none serves now: ask later doctor, or one of them alone"
        )
    else:
        reason = SERVER_UNREACHABLE
        meant = (
            f"no Later server at {address}: start one with later serve,"
            " or set LATER_ADDRESS/--address"
        )
    return RpcError("UNAVAILABLE", meant, reason=reason, metadata={"address": address})


def _status_of(error: grpc.aio.AioRpcError) -> status_pb2.Status | None:
    metadata = dict(cast("Iterable[tuple[str, str | bytes]]", error.trailing_metadata() or ()))
    details = metadata.get(_STATUS_DETAILS)
    if not isinstance(details, bytes):
        return None
    try:
        return status_pb2.Status.FromString(details)
    except DecodeError:
        return None


def _code_name(number: int) -> str:
    try:
        return str(code_pb2.Code.Name(number))
    except ValueError:
        return "UNKNOWN"
