"""The connection to a server: how it is kept alive, and which calls are repeated by themselves."""

from __future__ import annotations

import json

import grpc

from later_core.model.limits import RESPONSE_MAX_BYTES

#: Calls that may be made twice without harm: reads, creates, which carry their id, and a drain. Not
#: what says why (pause, resume), or may have been refused for what came in between (update).
_REPEATABLE = {
    "later.v1.InstanceService": (
        "CreateInstance",
        "BatchCreateInstances",
        "GetInstance",
        "ListInstances",
    ),
    "later.v1.ScheduleService": (
        "CreateSchedule",
        "GetSchedule",
        "ListSchedules",
        "TriggerSchedule",
        "BackfillSchedule",
        "PreviewSchedule",
    ),
    "later.v1.TaskService": ("ListTasks", "GetTask"),
    "later.v1.AdminService": ("GetStats", "ListNodes", "DrainNode"),
    "grpc.health.v1.Health": ("Check",),
}

_RETRY_POLICY = {
    "maxAttempts": 3,
    "initialBackoff": "0.1s",
    "maxBackoff": "1s",
    "backoffMultiplier": 3,
    "retryableStatusCodes": ["UNAVAILABLE"],
}

_SERVICE_CONFIG = {
    "methodConfig": [
        {
            "name": [
                {"service": service, "method": method}
                for service, methods in _REPEATABLE.items()
                for method in methods
            ],
            "retryPolicy": _RETRY_POLICY,
        }
    ]
}

_OPTIONS = (
    ("grpc.service_config", json.dumps(_SERVICE_CONFIG)),
    # A lost network is noticed within about a minute and a half, also by a watch that hears nothing.
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    # A page may exceed the bound of the server's batches by one instance: parameters and result.
    ("grpc.max_receive_message_length", 4 * RESPONSE_MAX_BYTES),
    # After a restart of the server the way back is tried soon.
    ("grpc.max_reconnect_backoff_ms", 10_000),
)


def open_channel(address: str) -> grpc.aio.Channel:
    """A channel to ``host:port`` (any gRPC name); nothing is sent before the first call."""
    return grpc.aio.insecure_channel(address, options=_OPTIONS)
