"""What a caller may be allowed to do, and the roles that bundle it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

#: The name of a permission that a task declares for itself (``Task.permission``).
TASK_PERMISSION = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")


class Permission(StrEnum):
    """A kind of request. Each RPC needs one of them.

    Beside these a task may need a permission of its own, whose name has no dot.
    """

    INSTANCES_READ = "instances.read"
    INSTANCES_CREATE = "instances.create"
    INSTANCES_CHANGE = "instances.change"
    INSTANCES_EXPORT = "instances.export"
    INSTANCES_IMPORT = "instances.import"
    SCHEDULES_READ = "schedules.read"
    SCHEDULES_CHANGE = "schedules.change"
    TASKS_READ = "tasks.read"
    STATS_READ = "stats.read"
    NODES_READ = "nodes.read"
    NODES_DRAIN = "nodes.drain"
    SERVER_DESCRIBE = "server.describe"
    SERVER_INSPECT = "server.inspect"
    AUDIT_READ = "audit.read"
    TOKENS_MANAGE = "tokens.manage"


class Role(StrEnum):
    """A bundle of permissions; each role has those of the role before it."""

    VIEWER = "viewer"
    SCHEDULER = "scheduler"
    OPERATOR = "operator"
    ADMIN = "admin"


_VIEWER = frozenset(
    {
        Permission.INSTANCES_READ,
        Permission.SCHEDULES_READ,
        Permission.TASKS_READ,
        Permission.STATS_READ,
        Permission.NODES_READ,
        Permission.SERVER_DESCRIBE,
    }
)
_SCHEDULER = _VIEWER | {
    Permission.INSTANCES_CREATE,
    Permission.INSTANCES_CHANGE,
    Permission.SCHEDULES_CHANGE,
}
_OPERATOR = _SCHEDULER | {
    Permission.INSTANCES_EXPORT,
    Permission.NODES_DRAIN,
    Permission.SERVER_INSPECT,
    Permission.AUDIT_READ,
}

#: What each role may do. No role has the permission of a task: that is granted by name.
ROLE_PERMISSIONS: Mapping[Role, frozenset[Permission]] = MappingProxyType(
    {
        Role.VIEWER: _VIEWER,
        Role.SCHEDULER: _SCHEDULER,
        Role.OPERATOR: _OPERATOR,
        Role.ADMIN: frozenset(Permission),
    }
)

#: Concern every task: whoever is confined to some tasks or labels does not have them, whatever the role.
UNCONFINED_ONLY = frozenset(
    {
        Permission.INSTANCES_EXPORT,
        Permission.INSTANCES_IMPORT,
        Permission.NODES_DRAIN,
        Permission.SERVER_INSPECT,
        Permission.AUDIT_READ,
        Permission.TOKENS_MANAGE,
    }
)
