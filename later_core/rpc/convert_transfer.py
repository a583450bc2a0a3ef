"""What is exported and imported: protobuf <-> values."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from later_core.errors import InvalidRequest
from later_core.model.instance import Instance
from later_core.model.instant import EARLIEST
from later_core.model.limits import (
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
from later_core.rpc.v1 import later_pb2 as pb
from later_core.rpc.validation import check

#: Numbers leave room to count on; more than this was never reached.
_ATTEMPTS_MAX = 1_000_000_000
_REVISION_MAX = 2**53
#: Reasons are words, and nodes are named as hosts are.
_NAME_MAX_LENGTH = 255


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
    check(message)
    exported = message.instance
    check(_as_create(exported))
    if exported.state not in FROM_STATE:
        raise InvalidRequest.of("instance.state", "must be one of the states")
    try:
        instance = from_instance(exported)
    except (ValueError, OverflowError):
        raise InvalidRequest.of("instance", "holds a length of time beyond all bounds") from None
    for field, is_right, description in (
        ("revision", 0 < instance.revision < _REVISION_MAX, "must be at least 1"),
        ("attempt", 0 <= instance.attempt < _ATTEMPTS_MAX, "must not be negative, nor immense"),
        (
            "uncounted_attempts",
            0 <= instance.uncounted_attempts <= instance.attempt,
            "must be from 0 to attempt",
        ),
        (
            "finish_time",
            instance.state.is_final is (instance.finish_time is not None),
            "must be set where the state is final, and nowhere else",
        ),
        ("node", len(exported.node) <= _NAME_MAX_LENGTH, "is too long"),
        (
            "attempt",
            instance.state is not State.RUNNING or instance.attempt > 0,
            "must be at least 1 where the state is RUNNING",
        ),
        ("result", len(instance.result) <= RESULT_MAX_BYTES, "must be at most 1 MiB"),
        ("schedule_id", len(exported.schedule_id) <= SCHEDULE_ID_MAX_LENGTH, "is too long"),
        ("error.reason", len(exported.error.reason) <= _NAME_MAX_LENGTH, "is too long"),
        (
            "error.message",
            len(exported.error.message) <= ERROR_MESSAGE_MAX_LENGTH,
            f"must be at most {ERROR_MESSAGE_MAX_LENGTH} characters",
        ),
        ("create_time", exported.HasField("create_time"), "must be set"),
        ("execution_time", exported.HasField("execution_time"), "must be set"),
    ):
        if not is_right:
            raise InvalidRequest.of(f"instance.{field}", description)
    return replace(instance, fingerprint=message.fingerprint)


def _as_create(exported: pb.Instance) -> pb.CreateInstanceRequest:
    """The create that this instance may have come from: it must have kept the same rules."""
    request = pb.CreateInstanceRequest(
        id=exported.id or " ",  # an empty one is chosen by the server, which here would be wrong
        task=exported.task,
        parameters=exported.parameters,
        execution_time=exported.execution_time,
        delivery=exported.delivery,
    )
    if exported.retry.max_attempts > 1 or exported.retry.max_attempts < 0:
        request.retry.CopyFrom(exported.retry)
    if exported.HasField("timeout"):
        request.timeout.CopyFrom(exported.timeout)
    if exported.HasField("start_deadline"):
        request.start_deadline.CopyFrom(exported.start_deadline)
    if exported.labels:
        request.labels.update(exported.labels)
    return request


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
