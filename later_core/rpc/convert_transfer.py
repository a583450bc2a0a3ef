"""What is exported and imported: protobuf <-> values."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from itertools import chain

from later_core.errors import InvalidRequest
from later_core.model.instance import Instance
from later_core.model.instant import EARLIEST
from later_core.model.limits import (
    ATTEMPT_MESSAGE_MAX_LENGTH,
    ATTEMPTS_KEPT,
    ERROR_MESSAGE_MAX_LENGTH,
    RESPONSE_MAX_BYTES,
    RESULT_MAX_BYTES,
    SCHEDULE_ID_MAX_LENGTH,
)
from later_core.model.query import PageKey
from later_core.model.schedule import Schedule
from later_core.model.state import State
from later_core.model.transfer import (
    ExportPart,
    ExportPlace,
    ImportOptions,
    ImportReport,
    Restored,
)
from later_core.rpc.convert import FROM_STATE, fill_instance, from_instance
from later_core.rpc.convert_schedules import from_schedule, to_schedule, within_spec
from later_core.rpc.errors import to_status
from later_core.rpc.times import fill_timestamp, from_timestamp, to_timestamp
from later_core.rpc.tokens import to_export_token
from later_core.rpc.trace_context import is_written_well
from later_core.rpc.v1 import later_pb2 as pb
from later_core.rpc.validation import check

#: Numbers leave room to count on; more than this was never reached.
_ATTEMPTS_MAX = 1_000_000_000
_REVISION_MAX = 2**53
#: Reasons are words, and nodes are named as hosts are.
_NAME_MAX_LENGTH = 255
_FINGERPRINT_MAX_BYTES = 64


def to_export_responses(part: ExportPart) -> Iterator[pb.ExportInstancesResponse]:
    """A part on the wire, in messages of bounded size, each with the place behind it."""
    message = _begin(part)
    message.estimated_instances = part.estimated_instances or 0
    place = part.place
    size = 0
    for instance in part.instances:
        exported = pb.ExportedInstance(fingerprint=instance.fingerprint)
        fill_instance(exported.instance, instance)
        size += exported.ByteSize()
        if size > RESPONSE_MAX_BYTES and message.instances:
            yield _end(message, place)
            message, size = _begin(part), exported.ByteSize()
        message.instances.append(exported)
        place = replace(place, instance=PageKey(instance.execution_time, instance.id))
    for schedule in part.schedules:
        shown = to_exported_schedule(schedule)
        size += shown.ByteSize()
        if size > RESPONSE_MAX_BYTES and message.schedules:
            yield _end(message, place)
            message, size = _begin(part), shown.ByteSize()
        message.schedules.append(shown)
        place = replace(place, schedule=schedule.id)
    yield _end(message, place)


def _begin(part: ExportPart) -> pb.ExportInstancesResponse:
    message = pb.ExportInstancesResponse()
    fill_timestamp(message.snapshot_time, part.time)
    return message


def _end(message: pb.ExportInstancesResponse, place: ExportPlace) -> pb.ExportInstancesResponse:
    message.resume_token = to_export_token(place)
    return message


def to_exported_schedule(schedule: Schedule) -> pb.ExportedSchedule:
    """All that is stored of a schedule, on the wire."""
    progress = schedule.progress
    message = pb.ExportedSchedule(
        schedule=to_schedule(schedule),
        fingerprint=schedule.fingerprint,
        starting=[to_timestamp(time) for time in progress.starting],
        aborting=progress.aborting,
        step=progress.step,
    )
    if progress.watched_from is not None:
        message.watched_from.CopyFrom(to_timestamp(progress.watched_from))
    return message


def from_exported_instance(message: pb.ExportedInstance) -> Instance:
    """The instance that was exported.

    Raises:
        InvalidRequest: there could never have been such a one.

    """
    exported = message.instance
    _check_as_created(exported)
    if exported.state not in FROM_STATE:
        raise InvalidRequest.of("instance.state", "must be one of the states")
    try:
        instance = from_instance(exported)
    except (ValueError, OverflowError):
        raise InvalidRequest.of("instance", "holds a length of time beyond all bounds") from None
    for field, description in chain(
        _faults(instance, message), _excesses(instance, message), _wrong_history(instance)
    ):
        raise InvalidRequest.of(f"instance.{field}", description)
    return replace(instance, fingerprint=message.fingerprint)


def _check_as_created(exported: pb.Instance) -> None:
    """The create that this instance may have come from must have kept the rules of all creates."""
    check(
        pb.CreateInstanceRequest(
            # An empty one is chosen by the server, which here would be wrong.
            id=exported.id or " ",
            task=exported.task,
            parameters=exported.parameters,
            execution_time=exported.execution_time,
            delivery=exported.delivery,
            priority=exported.priority,
        )
    )
    has = exported.HasField
    has_retry = has("retry") and exported.retry.max_attempts != 1
    if not (
        has_retry
        or has("timeout")
        or has("start_deadline")
        or has("concurrency")
        or exported.labels
    ):
        return
    policies = pb.CreateInstanceRequest(task="any", labels=exported.labels)
    if has_retry:
        policies.retry.CopyFrom(exported.retry)
    if has("timeout"):
        policies.timeout.CopyFrom(exported.timeout)
    if has("start_deadline"):
        policies.start_deadline.CopyFrom(exported.start_deadline)
    if has("concurrency"):
        policies.concurrency.CopyFrom(exported.concurrency)
    _check_policies(policies.SerializeToString(deterministic=True))


@lru_cache(maxsize=1024)
def _check_policies(request: bytes) -> None:
    """Many instances have few policies, and the rules take longer than all else."""
    check(pb.CreateInstanceRequest.FromString(request))


def _faults(instance: Instance, message: pb.ExportedInstance) -> Iterator[tuple[str, str]]:
    """What is wrong with it beside what a create may get wrong: field and remedy."""
    if not 0 < instance.revision < _REVISION_MAX:
        yield "revision", "must be at least 1, and not immense"
    if not 0 <= instance.attempt < _ATTEMPTS_MAX:
        yield "attempt", "must not be negative, nor immense"
    if not 0 <= instance.uncounted_attempts <= instance.attempt:
        yield "uncounted_attempts", "must be from 0 to attempt"
    if instance.state.is_final is (instance.finish_time is None):
        yield "finish_time", "must be set where the state is final, and nowhere else"
    if instance.state is State.RUNNING and not instance.attempt:
        yield "attempt", "must be at least 1 where the state is RUNNING"
    has = message.instance.HasField
    if not (has("create_time") and has("execution_time")):
        yield "create_time", "must be set, as must execution_time"


def _excesses(instance: Instance, message: pb.ExportedInstance) -> Iterator[tuple[str, str]]:
    """What is larger than any was, likewise."""
    if len(instance.result) > RESULT_MAX_BYTES:
        yield "result", "must be at most 1 MiB"
    if len(instance.node or "") > _NAME_MAX_LENGTH:
        yield "node", "is too long"
    if not (instance.trace_parent is None or is_written_well(instance.trace_parent)):
        yield "trace_parent", "must be that of the W3C Trace Context"
    if len(instance.schedule_id or "") > SCHEDULE_ID_MAX_LENGTH:
        yield "schedule_id", "is too long"
    if len(message.fingerprint) > _FINGERPRINT_MAX_BYTES:
        yield "fingerprint", "is too long"
    if instance.error is not None:
        if len(instance.error.reason) > _NAME_MAX_LENGTH:
            yield "error.reason", "is too long"
        if len(instance.error.message) > ERROR_MESSAGE_MAX_LENGTH:
            yield "error.message", f"must be at most {ERROR_MESSAGE_MAX_LENGTH} characters"


def _wrong_history(instance: Instance) -> Iterator[tuple[str, str]]:
    """What no history of attempts holds, likewise."""
    if len(instance.attempts) > ATTEMPTS_KEPT:
        yield "attempts", f"must be the last {ATTEMPTS_KEPT} at most"
    for attempt in instance.attempts:
        if len(attempt.node) > _NAME_MAX_LENGTH:
            yield "attempts", "holds a node whose name is too long"
        if attempt.error is not None and (
            len(attempt.error.reason) > _NAME_MAX_LENGTH
            or len(attempt.error.message) > ATTEMPT_MESSAGE_MAX_LENGTH
        ):
            yield "attempts", "holds an error that is too long"


def from_exported_schedule(message: pb.ExportedSchedule) -> Schedule:
    """The schedule that was exported. Its rules are not yet judged.

    Raises:
        InvalidRequest: there could never have been such a one.

    """
    check(message)
    exported = message.schedule
    check(
        pb.CreateScheduleRequest(
            id=exported.id or " ", spec=exported.spec, pause_note=exported.pause_note
        )
    )
    with within_spec(), _bounded():
        schedule = from_schedule(exported)
    for field, is_right, description in (
        ("revision", 0 < schedule.revision < _REVISION_MAX, "must be at least 1"),
        ("create_time", exported.HasField("create_time"), "must be set"),
        ("update_time", exported.HasField("update_time"), "must be set"),
        ("progress.planned_until", exported.progress.HasField("planned_until"), "must be set"),
        ("progress.planned_until", schedule.progress.planned_until >= EARLIEST, "is too early"),
        ("progress", min(exported.progress.runs, message.step) >= 0, "must not be negative"),
    ):
        if not is_right:
            raise InvalidRequest.of(f"schedule.{field}", description)
    progress = replace(
        schedule.progress,
        starting=tuple(from_timestamp(time, "starting") for time in message.starting),
        aborting=tuple(message.aborting),
        watched_from=(
            from_timestamp(message.watched_from, "watched_from")
            if message.HasField("watched_from")
            else None
        ),
        step=message.step,
    )
    return replace(schedule, progress=progress, fingerprint=message.fingerprint)


@contextmanager
def _bounded() -> Iterator[None]:
    try:
        yield
    except (ValueError, OverflowError):
        raise InvalidRequest.of("schedule", "holds a length of time beyond all bounds") from None


def from_import_options(message: pb.ImportInstancesRequest) -> ImportOptions:
    """How to import.

    Raises:
        InvalidRequest: the moment of the export is malformed.

    """
    return ImportOptions(
        exported_at=from_timestamp(message.snapshot_time, "snapshot_time"),
        validate_only=message.validate_only,
        replace=message.replace,
        only_ended=message.only_ended,
        pause_schedules=message.pause_schedules,
    )


def to_import_response(report: ImportReport) -> pb.ImportInstancesResponse:
    """What became of a batch, on the wire."""
    response = pb.ImportInstancesResponse()
    for counts, tally in (
        (response.instances, report.instances),
        (response.schedules, report.schedules),
    ):
        counts.imported = tally.get(Restored.IMPORTED, 0)
        counts.existing = tally.get(Restored.EXISTING, 0)
        counts.replaced = tally.get(Restored.REPLACED, 0)
        counts.left_out = tally.get(Restored.LEFT_OUT, 0)
    response.instances.recovered = report.recovered
    for is_schedule, failures in (
        (False, report.failed_instances),
        (True, report.failed_schedules),
    ):
        for id, error in failures:
            response.failures.add(
                id=id, is_schedule=is_schedule, error=to_status(error, brief=True)
            )
    return response
