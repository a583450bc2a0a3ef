"""Values as records: the JSON form that protobuf gives to the messages of ``later.proto``.

Names are those of the .proto in lowerCamelCase, bytes are base64, 64-bit numbers are strings,
instants RFC 3339; fields that can be unset are left out where they are, all others are always there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from later_core.model.audit import AuditEntry
from later_core.model.event import EventBatch
from later_core.model.instance import Instance
from later_core.model.node import ListedNode
from later_core.model.schedule import Backfill, ListedSchedule, Schedule, ScheduleSpec
from later_core.model.standing import Standing
from later_core.model.stats import Stats
from later_core.model.token import Token
from later_core.ports.tasks import InstalledTask, RejectedPlugin
from later_core.rpc.convert import to_instance
from later_core.rpc.convert_access import to_audit_entry, to_token
from later_core.rpc.convert_events import to_event
from later_core.rpc.convert_inventory import to_node, to_rejected_plugin, to_stats, to_task
from later_core.rpc.convert_schedules import fill_listed, to_backfill, to_schedule, to_spec
from later_core.rpc.convert_standing import to_standing
from later_core.rpc.times import to_timestamp
from later_core.rpc.v1 import later_pb2 as pb

Record = dict[str, Any]


def instance_record(instance: Instance) -> Record:
    """An ``Instance``."""
    return _record(to_instance(instance))


def schedule_record(schedule: Schedule) -> Record:
    """A ``Schedule``."""
    return _record(to_schedule(schedule))


def listed_schedule_record(listed: ListedSchedule) -> Record:
    """A ``ListedSchedule``."""
    message = pb.ListedSchedule()
    fill_listed(message, listed)
    return _record(message)


def spec_record(spec: ScheduleSpec) -> Record:
    """A ``ScheduleSpec``."""
    return _record(to_spec(spec))


def backfill_record(backfill: Backfill) -> Record:
    """A ``BackfillScheduleResponse``."""
    return _record(to_backfill(backfill))


def preview_record(times: Sequence[datetime]) -> Record:
    """A ``PreviewScheduleResponse``."""
    return _record(pb.PreviewScheduleResponse(times=[to_timestamp(time) for time in times]))


def event_records(batch: EventBatch) -> Iterator[Record]:
    """An ``InstanceEvent`` for each event; behind the last one stands the ``resumeToken``.

    A batch without events is the token alone.
    """
    records = [_record(to_event(event)) for event in batch.events] or [{}]
    if batch.position:
        records[-1]["resumeToken"] = batch.position
    return (record for record in records if record)


def plugins_record(tasks: Sequence[InstalledTask], rejected: Sequence[RejectedPlugin]) -> Record:
    """A ``ListTasksResponse``."""
    return _record(
        pb.ListTasksResponse(
            tasks=[to_task(task) for task in tasks],
            rejected_plugins=[to_rejected_plugin(plugin) for plugin in rejected],
        )
    )


def stats_record(stats: Stats) -> Record:
    """A ``GetStatsResponse``."""
    return _record(to_stats(stats))


def node_record(node: ListedNode) -> Record:
    """A ``Node``."""
    return _record(to_node(node))


def token_record(token: Token) -> Record:
    """A ``Token``."""
    return _record(to_token(token))


def created_token_record(token: Token, secret: str) -> Record:
    """A ``CreateTokenResponse``."""
    return _record(pb.CreateTokenResponse(token=to_token(token), secret=secret))


def standing_record(standing: Standing) -> Record:
    """A ``WhoAmIResponse``."""
    return _record(to_standing(standing))


def audit_entry_record(entry: AuditEntry) -> Record:
    """An ``AuditEntry``."""
    return _record(to_audit_entry(entry))


def _record(message: Message) -> Record:
    return MessageToDict(message, always_print_fields_with_no_presence=True)
