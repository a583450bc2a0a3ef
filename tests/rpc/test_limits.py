"""The proto and ``model.limits`` state the same bounds, and the bounds hold at their very edge."""

from __future__ import annotations

import grpc
import pytest
from google.protobuf import descriptor_pool

from later_core.model import limits
from later_core.model.instant import EARLIEST, LATEST, from_millis, to_millis
from later_core.model.planning import instance_id
from later_core.model.recurrence.combine import DATES_MAX, RULES_MAX
from later_core.model.recurrence.cron import EXPRESSION_MAX_LENGTH
from later_core.model.recurrence.interval import EVERY_MIN, TIMES_MAX
from later_core.model.recurrence.rrule_text import TEXT_MAX_LENGTH
from later_core.rpc.v1 import later_pb2 as pb
from later_core.rpc.wording import PATTERNS

RULES = descriptor_pool.Default().FindExtensionByName("buf.validate.field")


def rules(path):
    """The constraints of a field, as ``Message.field``."""
    message, field = path.split(".")
    options = pb.DESCRIPTOR.message_types_by_name[message].fields_by_name[field].GetOptions()
    return options.Extensions[RULES]


def inputs():
    """Every message that is a request or a part of one; what was exported is judged one by one."""
    found, open_ends = [], []
    for service in pb.DESCRIPTOR.services_by_name.values():
        open_ends += [method.input_type for method in service.methods]
    while open_ends:
        message = open_ends.pop()
        is_exported = message.name in {"ExportedInstance", "ExportedSchedule"}
        if message not in found and message.file is pb.DESCRIPTOR and not is_exported:
            found.append(message)
            open_ends += [field.message_type for field in message.fields if field.message_type]
    return found


def strings(rule):
    """The constraints of texts in a field: of its own, its items, its keys and values."""
    yield rule.string
    yield rule.repeated.items.string
    yield rule.map.keys.string
    yield rule.map.values.string


def milliseconds(message):
    return message.seconds * 1000 + message.nanos / 1_000_000


ONE_ID = [
    "CreateInstanceRequest.id",
    "GetInstanceRequest.id",
    "AbortInstanceRequest.id",
    "RescheduleInstanceRequest.id",
    "RetryInstanceRequest.id",
    "InstanceFilter.schedule_id",
]


@pytest.mark.parametrize("field", ONE_ID)
def test_ids_are_bounded_alike(field):
    assert rules(field).string.max_len == limits.ID_MAX_LENGTH


def test_task_names_are_bounded_alike():
    assert rules("CreateInstanceRequest.task").string.max_len == limits.TASK_NAME_MAX_LENGTH
    assert rules("GetTaskRequest.name").string.max_len == limits.TASK_NAME_MAX_LENGTH
    assert rules("ScheduleSpec.task").string.max_len == limits.TASK_NAME_MAX_LENGTH
    tasks = rules("InstanceFilter.tasks").repeated.items.string
    assert tasks.max_len == limits.TASK_NAME_MAX_LENGTH


ONE_SCHEDULE_ID = [
    f"{method}ScheduleRequest.id"
    for method in [
        "Create",
        "Get",
        "Update",
        "Delete",
        "Pause",
        "Resume",
        "Trigger",
        "Backfill",
        "Preview",
    ]
]


@pytest.mark.parametrize("field", ONE_SCHEDULE_ID)
def test_ids_of_schedules_are_bounded_alike(field):
    assert rules(field).string.max_len == limits.SCHEDULE_ID_MAX_LENGTH


def test_the_longest_ids_of_instances_of_schedules_have_room():
    schedule = "s" * limits.SCHEDULE_ID_MAX_LENGTH
    planned = instance_id(schedule, from_millis(to_millis(LATEST) - 1))
    triggered = f"{schedule}@manual-{'r' * limits.REQUEST_ID_MAX_LENGTH}"
    assert len(planned) <= limits.ID_MAX_LENGTH
    assert len(triggered) <= limits.ID_MAX_LENGTH


def test_what_schedules_hold_is_bounded_alike():
    spec = {name: rules(f"ScheduleSpec.{name}") for name in ("rules", "exclusions")}
    assert spec["rules"].repeated.max_items == spec["exclusions"].repeated.max_items == RULES_MAX
    assert rules("TimesRule.times").repeated.max_items == TIMES_MAX
    assert rules("ExcludedDates.dates").repeated.max_items == DATES_MAX
    assert rules("CronRule.expression").string.max_len == EXPRESSION_MAX_LENGTH
    assert rules("CalendarRule.rrule").string.max_len == TEXT_MAX_LENGTH
    assert rules("ScheduleSpec.parameters").bytes.max_len == limits.PARAMETERS_MAX_BYTES
    for field in ("CreateScheduleRequest.pause_note", "PauseScheduleRequest.note"):
        assert rules(field).string.max_len == limits.PAUSE_NOTE_MAX_LENGTH
    assert rules("TriggerScheduleRequest.request_id").string.max_len == limits.REQUEST_ID_MAX_LENGTH
    assert rules("ListSchedulesRequest.page_size").int32.lte == limits.PAGE_MAX_SIZE
    assert rules("BackfillScheduleRequest.limit").int32.lte == limits.BACKFILL_MAX_TIMES
    assert rules("PreviewScheduleRequest.count").int32.lte == limits.PREVIEW_MAX_TIMES


@pytest.mark.parametrize(
    "message", ["CreateInstanceRequest", "InstanceFilter", "ScheduleSpec", "ScheduleFilter"]
)
def test_labels_are_bounded_alike(message):
    labels = rules(f"{message}.labels").map
    assert labels.max_pairs == limits.LABELS_MAX_COUNT
    assert labels.keys.string.max_len == limits.LABEL_KEY_MAX_LENGTH
    assert labels.values.string.max_len == limits.LABEL_VALUE_MAX_LENGTH


@pytest.mark.parametrize("stream", ["Batch", "Stream"])
def test_batches_are_bounded_alike(stream):
    requests = rules(f"{stream}CreateInstancesRequest.requests").repeated
    assert requests.max_items == limits.BATCH_MAX_REQUESTS


def test_payloads_pages_and_attempts_are_bounded_alike():
    payload = rules("CreateInstanceRequest.parameters").bytes
    assert payload.max_len == limits.PARAMETERS_MAX_BYTES
    assert rules("ListInstancesRequest.page_size").int32.lte == limits.PAGE_MAX_SIZE
    assert rules("RetryPolicy.max_attempts").int32.lte == limits.MAX_ATTEMPTS
    assert rules("Concurrency.key").string.max_len == limits.CONCURRENCY_KEY_MAX_LENGTH
    assert rules("Concurrency.limit").int32.lte == limits.CONCURRENCY_MAX


def test_every_time_and_span_that_schedules_is_bounded_alike():
    longest = limits.DURATION_MAX.total_seconds() * 1000
    for message in inputs():
        for field in message.fields:
            rule = field.GetOptions().Extensions[RULES]
            name = field.message_type.full_name if field.message_type else ""
            if name == "google.protobuf.Duration":
                assert milliseconds(rule.duration.lte) == longest
                least = (0, 1) if field.name != "every" else (EVERY_MIN.total_seconds() * 1000,)
                assert milliseconds(rule.duration.gte) in least
            elif name == "google.protobuf.Timestamp" and message.name != "InstanceFilter":
                bounds = rule.repeated.items.timestamp if field.is_repeated else rule.timestamp
                assert milliseconds(bounds.gte) == to_millis(EARLIEST)
                assert milliseconds(bounds.lt) == to_millis(LATEST)


def test_every_text_that_is_asked_for_is_bounded_and_every_pattern_has_words():
    for message in inputs():
        for field in message.fields:
            rule = field.GetOptions().Extensions[RULES]
            if field.type == field.TYPE_STRING and not message.GetOptions().map_entry:
                assert any(text.max_len for text in strings(rule)), field.full_name
            for text in strings(rule):
                assert not text.pattern or text.pattern in PATTERNS


async def test_what_is_just_within_the_limits_is_taken(serve):
    async with serve() as served:
        request = pb.CreateInstanceRequest(
            id="i" * limits.ID_MAX_LENGTH,
            task="echo",
            parameters=b"x" * limits.PARAMETERS_MAX_BYTES,
            labels={
                f"{n:0{limits.LABEL_KEY_MAX_LENGTH}}": "é" * limits.LABEL_VALUE_MAX_LENGTH
                for n in range(limits.LABELS_MAX_COUNT)
            },
        )
        request.execution_time.FromMilliseconds(to_millis(LATEST) - 1)
        request.timeout.FromTimedelta(limits.DURATION_MAX)
        request.start_deadline.nanos = 1_000_000
        request.retry.max_attempts = limits.MAX_ATTEMPTS
        request.retry.multiplier = 100
        request.concurrency.key = "é" * limits.CONCURRENCY_KEY_MAX_LENGTH
        request.concurrency.limit = limits.CONCURRENCY_MAX
        request.retry.jitter = 1
        request.retry.final_reasons.extend(f"{n:02}".rjust(128, "R") for n in range(32))
        request.priority = limits.PRIORITY_MAX
        created = (await served.instances.CreateInstance(request)).instance
        assert created.parameters == request.parameters
        assert created.labels == request.labels
        page = await served.instances.ListInstances(
            pb.ListInstancesRequest(page_size=limits.PAGE_MAX_SIZE)
        )
        assert list(page.instances) == [created]


async def test_a_full_batch_is_taken(serve):
    async with serve() as served:
        requests = [pb.CreateInstanceRequest(task="echo")] * limits.BATCH_MAX_REQUESTS
        batch = pb.BatchCreateInstancesRequest(requests=requests)
        answer = await served.instances.BatchCreateInstances(batch)
        assert len({result.instance.id for result in answer.results}) == len(requests)
        page = await served.instances.ListInstances(pb.ListInstancesRequest())
        assert len(page.instances) == limits.PAGE_DEFAULT_SIZE


async def test_a_message_over_every_limit_is_refused_before_it_is_read(serve):
    async with serve() as served:
        huge = pb.CreateInstanceRequest(task="echo", parameters=b"x" * (6 * 1024 * 1024))
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await served.instances.CreateInstance(huge)
        assert raised.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
