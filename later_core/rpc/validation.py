"""Whether a request keeps the rules: those of the proto, and the few that a proto cannot say."""

from __future__ import annotations

import importlib
import re
import threading

from google.protobuf.message import Message

from later_core.errors import FieldViolation, InvalidRequest
from later_core.model.instant import EARLIEST, LATEST, to_millis
from later_core.model.limits import DURATION_MAX, ID_MAX_LENGTH, PARAMETERS_MAX_BYTES, PRIORITY_MAX
from later_core.model.retry import NO_RETRY
from later_core.rpc.convert import from_retry
from later_core.rpc.v1 import later_pb2 as pb

#: What judges by the rules of the proto, loaded when it is first asked: 12 MB and a tenth of a second, which
#: a server that takes plain creates alone never needs.
_JUDGE = "later_core.rpc.violations"
_JUDGE_IS_LOADED = threading.Event()

#: The requests that hold a spec.
WithSpec = pb.CreateScheduleRequest | pb.UpdateScheduleRequest | pb.PreviewScheduleRequest

_DELIVERIES = frozenset(pb.Delivery.values())
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@/+=-]*")
#: Most names of tasks; the others are left to the rules.
_TASK = re.compile(r"[!-~][ -~]{0,127}")
_FIRST_SECOND = to_millis(EARLIEST) // 1000
_END_SECOND = to_millis(LATEST) // 1000
_NANOS = 1_000_000_000
_LONGEST_SECONDS = int(DURATION_MAX.total_seconds())


def is_ready(message: Message) -> bool:
    """Whether ``check`` answers at once; else ``prepare`` is to be called before, off the event loop."""
    return (
        _JUDGE_IS_LOADED.is_set()
        or not _has_rules(message)
        or (isinstance(message, pb.CreateInstanceRequest) and _is_plainly_right(message))
    )


def prepare() -> None:
    """Load what judges by the rules of the proto, once."""
    importlib.import_module(_JUDGE)
    _JUDGE_IS_LOADED.set()


def check(message: Message) -> None:
    """Return if the request keeps every rule that can be judged without asking anybody.

    The requests inside a batch are not looked at: each is checked alone, with this function.

    Raises:
        InvalidRequest: with every violation found.

    """
    create = message if isinstance(message, pb.CreateInstanceRequest) else None
    if create is not None and _is_plainly_right(create):
        return
    if not _has_rules(message):
        return
    from later_core.rpc.violations import violations_of

    found = violations_of(message)
    if found:
        raise InvalidRequest(found)
    if create is not None and create.HasField("retry"):
        _check_backoffs(create.retry)
    if (
        isinstance(message, WithSpec)
        and message.HasField("spec")
        and message.spec.HasField("retry")
    ):
        _check_backoffs(message.spec.retry, "spec.")


def _has_rules(message: Message) -> bool:
    """Whether there is anything to judge: health, reflection and messages without fields have no rules."""
    kind = message.DESCRIPTOR
    return kind.file is pb.DESCRIPTOR and bool(kind.fields)


def _is_plainly_right(request: pb.CreateInstanceRequest) -> bool:
    """Whether a create keeps every rule, told at a glance; False says nothing.

    Most creates are plain, and the rules of the proto take 5 microseconds of each. What passes here
    passes there: a test compares the two.
    """
    has = request.HasField
    if has("retry") or has("timeout") or has("start_deadline") or has("concurrency"):
        return False
    if request.labels:
        return False
    match request.WhichOneof("due"):
        case "execution_time":
            due = request.execution_time
            is_right = _FIRST_SECOND <= due.seconds < _END_SECOND and 0 <= due.nanos < _NANOS
        case "delay":
            delay = request.delay
            is_right = 0 <= delay.seconds < _LONGEST_SECONDS and 0 <= delay.nanos < _NANOS
        case _:
            is_right = True
    return (
        is_right
        and request.delivery in _DELIVERIES
        and 0 <= request.priority <= PRIORITY_MAX
        and len(request.parameters) <= PARAMETERS_MAX_BYTES
        and _TASK.fullmatch(request.task) is not None
        and (not (id := request.id) or (len(id) <= ID_MAX_LENGTH and _ID.fullmatch(id) is not None))
    )


def prefixed(error: InvalidRequest, prefix: str) -> InvalidRequest:
    """The same violations, as fields of something larger: ``requests[3].`` before each path."""
    return InvalidRequest(
        [FieldViolation(prefix + v.field, v.description) for v in error.violations]
    )


def malformed() -> InvalidRequest:
    """The bytes of a request are not a message of the method's type, so no field can be named."""
    return InvalidRequest.of(
        "request",
        "not a message of this method's type (text must be UTF-8, nesting at most 100 deep);"
        " check it against later.proto",
    )


def _check_backoffs(retry: pb.RetryPolicy, path: str = "") -> None:
    try:
        policy = from_retry(retry)
    except InvalidRequest as error:
        raise prefixed(error, path) from None
    if policy.max_backoff >= policy.min_backoff:
        return
    # The one that was said is the one to change; the other may be a default.
    field = "max_backoff" if retry.HasField("max_backoff") else "min_backoff"
    raise InvalidRequest.of(
        f"{path}retry.{field}",
        f"max_backoff ({policy.max_backoff.total_seconds():g} s) must not be shorter than"
        f" min_backoff ({policy.min_backoff.total_seconds():g} s); where they are not set they are"
        f" {NO_RETRY.max_backoff.total_seconds():g} s and"
        f" {NO_RETRY.min_backoff.total_seconds():g} s",
    )
