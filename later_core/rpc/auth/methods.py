"""The one table of who may: the permission that each RPC needs. What is not in it is refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from later_core.model.permission import Permission


@dataclass(frozen=True, slots=True)
class Rule:
    """What an RPC needs (None: none), and whether it changes something and is therefore noted in the audit
    log. Refusals are noted whatever the method. ``is_for_strangers``: not even a known caller is needed.
    """

    permission: Permission | None
    is_change: bool = False
    is_for_strangers: bool = False


def _reads(service: str, needs: Mapping[str, Permission]) -> dict[str, Rule]:
    return {f"/{service}/{method}": Rule(permission) for method, permission in needs.items()}


def _changes(service: str, needs: Mapping[str, Permission]) -> dict[str, Rule]:
    return {f"/{service}/{method}": Rule(permission, True) for method, permission in needs.items()}


_OWN: dict[str, Rule] = {
    **_changes(
        "later.v1.InstanceService",
        {
            "CreateInstance": Permission.INSTANCES_CREATE,
            "BatchCreateInstances": Permission.INSTANCES_CREATE,
            "StreamCreateInstances": Permission.INSTANCES_CREATE,
            "AbortInstance": Permission.INSTANCES_CHANGE,
            "RescheduleInstance": Permission.INSTANCES_CHANGE,
            "RetryInstance": Permission.INSTANCES_CHANGE,
        },
    ),
    **_reads(
        "later.v1.InstanceService",
        {
            "GetInstance": Permission.INSTANCES_READ,
            "ListInstances": Permission.INSTANCES_READ,
            "WatchInstances": Permission.INSTANCES_READ,
        },
    ),
    **_changes(
        "later.v1.ScheduleService",
        {
            "CreateSchedule": Permission.SCHEDULES_CHANGE,
            "UpdateSchedule": Permission.SCHEDULES_CHANGE,
            "DeleteSchedule": Permission.SCHEDULES_CHANGE,
            "PauseSchedule": Permission.SCHEDULES_CHANGE,
            "ResumeSchedule": Permission.SCHEDULES_CHANGE,
            "TriggerSchedule": Permission.SCHEDULES_CHANGE,
            "BackfillSchedule": Permission.SCHEDULES_CHANGE,
        },
    ),
    **_reads(
        "later.v1.ScheduleService",
        {
            "GetSchedule": Permission.SCHEDULES_READ,
            "ListSchedules": Permission.SCHEDULES_READ,
            "PreviewSchedule": Permission.SCHEDULES_READ,
        },
    ),
    **_reads(
        "later.v1.TaskService",
        {"ListTasks": Permission.TASKS_READ, "GetTask": Permission.TASKS_READ},
    ),
    **_reads(
        "later.v1.AdminService",
        {
            "GetStats": Permission.STATS_READ,
            "ListNodes": Permission.NODES_READ,
            "ExportInstances": Permission.INSTANCES_EXPORT,
            "ListTokens": Permission.TOKENS_MANAGE,
            "ListAuditEntries": Permission.AUDIT_READ,
        },
    ),
    **_changes(
        "later.v1.AdminService",
        {
            "DrainNode": Permission.NODES_DRAIN,
            "ImportInstances": Permission.INSTANCES_IMPORT,
            "CreateToken": Permission.TOKENS_MANAGE,
            "RevokeToken": Permission.TOKENS_MANAGE,
        },
    ),
    # What it tells is the caller's own.
    "/later.v1.AdminService/WhoAmI": Rule(None),
}

#: Probes of load balancers and of Kubernetes carry no credentials, and learn nothing but that it serves.
_HEALTH = {
    f"/grpc.health.v1.Health/{method}": Rule(None, is_for_strangers=True)
    for method in ("Check", "List", "Watch")
}

#: Reflection tells what there is to attack: not to strangers.
_REFLECTION = {
    f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo": Rule(
        Permission.SERVER_DESCRIBE
    )
    for version in ("v1", "v1alpha")
}

#: Channelz tells who is connected.
_CHANNELZ = _reads(
    "grpc.channelz.v1.Channelz",
    dict.fromkeys(
        (
            *("GetTopChannels", "GetServers", "GetServer", "GetServerSockets"),
            *("GetChannel", "GetSubchannel", "GetSocket"),
        ),
        Permission.SERVER_INSPECT,
    ),
)

METHODS: Mapping[str, Rule] = MappingProxyType(_OWN | _HEALTH | _REFLECTION | _CHANNELZ)

#: Of a method that the table has forgotten: nobody has it.
UNKNOWN = "a rule for this method, which is missing"
