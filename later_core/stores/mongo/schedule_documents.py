"""Documents <-> values: how a schedule stands in MongoDB.

A document has the names of ``Schedule``; ``_id`` is the id. What is at its default is left out. Dates
are UTC to the millisecond, durations whole microseconds (int64), days text such as ``2026-12-25``. A
rule has its kind beside its fields. Beside them a document has:

========= ======================================================================================
bucket    0 to 255, a hash of the id: how planners share the schedules
look_time when a planner must look at it next; left out when none must
advanced  which call of ``advance_schedules`` made the last step
========= ======================================================================================
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import fields
from datetime import date, datetime, timedelta
from typing import Any

import structlog

from later_core.errors import EncryptionKeyMissing
from later_core.model.bucket import bucket_of
from later_core.model.instance import NO_LABELS, Delivery, NewInstance
from later_core.model.instant import round_up
from later_core.model.recurrence.rules import (
    CalendarRule,
    CronRule,
    ExcludedDates,
    IntervalRule,
    TimesRule,
)
from later_core.model.retry import NO_RETRY
from later_core.model.schedule import CatchUp, Overlap, Progress, Schedule, ScheduleSpec
from later_core.stores.mongo.connection import Document
from later_core.stores.mongo.documents import (
    concurrency_document,
    concurrency_of,
    duration_field,
    label_of,
    retry_document,
    retry_of,
    tell_of_missing_key,
    to_instant,
)
from later_core.stores.mongo.key_ring import NO_KEYS, KeyRing

logger = structlog.get_logger(__name__)

#: What sealed values of schedules are bound to, beside the id.
SCHEDULE_FINGERPRINT = "schedule.fingerprint"
SCHEDULE_PARAMETERS = "schedule.parameters"

_KINDS: dict[str, type[Any]] = {
    "cron": CronRule,
    "interval": IntervalRule,
    "calendar": CalendarRule,
    "times": TimesRule,
    "dates": ExcludedDates,
}
_NAMES = {kind: name for name, kind in _KINDS.items()}


def to_schedule_document(schedule: Schedule, keys: KeyRing = NO_KEYS) -> Document:
    """The document of a schedule."""
    document = {
        "_id": schedule.id,
        "bucket": bucket_of(schedule.id),
        "spec": _spec_document(schedule.spec),
        "create_time": schedule.create_time,
        "update_time": schedule.update_time,
        "revision": schedule.revision,
        "is_paused": schedule.is_paused,
        "pause_note": schedule.pause_note,
        "fingerprint": schedule.fingerprint,
        **({"principal": schedule.principal} if schedule.principal else {}),
        **progress_fields(schedule),
    }
    if keys.newest is not None:
        _seal(document, keys)
    return document


def _seal(document: Document, keys: KeyRing) -> None:
    id = document["_id"]
    document["fingerprint"] = keys.seal(
        document["fingerprint"], record=id, field=SCHEDULE_FINGERPRINT
    )
    template = document["spec"]["template"]
    if "parameters" in template:
        template["parameters"] = keys.seal(
            template["parameters"], record=id, field=SCHEDULE_PARAMETERS
        )


def progress_fields(schedule: Schedule) -> Document:
    """Those fields of the document that planning moves on; ``look_time`` may be missing."""
    progress = schedule.progress
    document: Document = {"progress": _plain(progress)}
    if schedule.look_time is not None:
        document["look_time"] = schedule.look_time
    return document


def to_schedule(document: Document, keys: KeyRing = NO_KEYS) -> Schedule:
    """The schedule of a document. Raises whatever reading a malformed one raises."""
    id = document["_id"]
    parameters = keys.open(
        document["spec"]["template"].get("parameters") or b"",
        record=id,
        field=SCHEDULE_PARAMETERS,
    )
    return Schedule(
        id=id,
        spec=_spec(document["spec"], parameters),
        progress=_progress(document["progress"]),
        create_time=to_instant(document["create_time"]),
        update_time=to_instant(document["update_time"]),
        revision=int(document["revision"]),
        is_paused=bool(document["is_paused"]),
        pause_note=str(document["pause_note"]),
        principal=str(document.get("principal") or ""),
        fingerprint=keys.open(document["fingerprint"], record=id, field=SCHEDULE_FINGERPRINT),
    )


def readable_schedules(
    documents: Iterable[Document],
    keys: KeyRing = NO_KEYS,
    locked: list[EncryptionKeyMissing] | None = None,
) -> Iterator[Schedule]:
    """The schedules among the documents; the others are logged and left out.

    Those whose key is missing are put into ``locked`` besides.
    """
    for document in documents:
        try:
            schedule = to_schedule(document, keys)
        except EncryptionKeyMissing as missing:
            tell_of_missing_key(missing, keys)
            if locked is not None:
                locked.append(missing)
            continue
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as wrong:
            detail = f"{type(wrong).__name__}: {wrong}"
        else:
            yield schedule
            continue
        logger.error("unreadable schedule", id=str(document.get("_id")), detail=detail)


def _spec_document(spec: ScheduleSpec) -> Document:
    return {
        **_plain(spec, leave_out=("template", "rules", "exclusions")),
        "template": _template_document(spec.template),
        "rules": [_rule_document(rule) for rule in spec.rules],
        "exclusions": [_rule_document(rule) for rule in spec.exclusions],
    }


def _spec(document: Document, parameters: bytes) -> ScheduleSpec:
    get = document.get
    return ScheduleSpec(
        template=_template(document["template"], parameters),
        rules=tuple(_rule(rule) for rule in document["rules"]),
        exclusions=tuple(_rule(rule) for rule in document["exclusions"]),
        time_zone=document["time_zone"],
        start_time=_instant(get("start_time")),
        end_time=_instant(get("end_time")),
        max_runs=get("max_runs"),
        jitter=_duration(document["jitter"]) or timedelta(0),
        overlap=Overlap(document["overlap"]),
        catch_up=CatchUp(document["catch_up"]),
        catchup_window=_duration(get("catchup_window")),
        pause_on_failure=bool(document["pause_on_failure"]),
    )


def _progress(document: Document) -> Progress:
    get = document.get
    return Progress(
        planned_until=to_instant(document["planned_until"]),
        next_time=_instant(get("next_time")),
        runs=int(document["runs"]),
        missed=int(document["missed"]),
        skipped=int(document["skipped"]),
        starting=tuple(map(to_instant, document["starting"])),
        aborting=tuple(document["aborting"]),
        waiting=tuple(map(to_instant, document["waiting"])),
        watched_from=_instant(get("watched_from")),
        step=int(document["step"]),
    )


def _template_document(template: NewInstance) -> Document:
    document: Document = {"task": template.task, "delivery": template.delivery.value}
    if template.parameters:
        document["parameters"] = template.parameters
    if template.retry != NO_RETRY:
        document["retry"] = retry_document(template.retry)
    if template.priority:
        document["priority"] = template.priority
    for name in ("timeout", "start_deadline"):
        if (duration := getattr(template, name)) is not None:
            document[name] = duration_field(duration)
    if template.concurrency is not None:
        document["concurrency"] = concurrency_document(template.concurrency)
    if template.labels:
        document["labels"] = [label_of(key, value) for key, value in template.labels.items()]
    return document


def _template(document: Document, parameters: bytes) -> NewInstance:
    get = document.get
    labels = get("labels")
    return NewInstance(
        task=document["task"],
        parameters=parameters,
        retry=NO_RETRY if (retry := get("retry")) is None else retry_of(retry),
        timeout=_duration(get("timeout")),
        start_deadline=_duration(get("start_deadline")),
        delivery=Delivery(document["delivery"]),
        priority=int(get("priority") or 0),
        labels=dict(label.split("=", 1) for label in labels) if labels else NO_LABELS,
        concurrency=None if (most := get("concurrency")) is None else concurrency_of(most),
    )


def _rule_document(rule: Any) -> Document:
    return {"kind": _NAMES[type(rule)], **_plain(rule)}


def _rule(document: Document) -> Any:
    kind = _KINDS[document["kind"]]
    content = {name: value for name, value in document.items() if name != "kind"}
    for name, value in content.items():
        if isinstance(value, datetime):
            content[name] = to_instant(value)
        elif name == "every":
            content[name] = _duration(value)
        elif name == "times":
            content[name] = tuple(map(to_instant, value))
        elif name == "dates":
            content[name] = tuple(map(date.fromisoformat, value))
    return kind(**content)


def _plain(value: Any, *, leave_out: tuple[str, ...] = ()) -> Document:
    """The fields of a flat value as BSON has them; those that are None are left out."""
    return {
        field.name: _plain_field(content)
        for field in fields(value)
        if field.name not in leave_out and (content := getattr(value, field.name)) is not None
    }


def _plain_field(content: Any) -> Any:
    match content:
        case datetime():
            # Rounded down it might fire early.
            return round_up(content)
        case date():
            return content.isoformat()
        case timedelta():
            return duration_field(content)
        case Overlap() | CatchUp():
            return content.value
        case tuple():
            return [_plain_field(part) for part in content]
        case _:
            return content


def _instant(value: datetime | None) -> datetime | None:
    return None if value is None else to_instant(value)


def _duration(value: int | None) -> timedelta | None:
    return None if value is None else timedelta(microseconds=value)
