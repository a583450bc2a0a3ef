"""Whether whoever asks may do this with that: scopes, and the permissions of tasks.

Whether a kind of request is allowed at all is decided before it gets here (``rpc.auth``). What lies
outside the caller's scope answers like what does not exist, when it is looked up: ids can be guessed, and
a refusal would confirm the guess. What a request itself says of a task or of labels is refused openly.
"""

from __future__ import annotations

from collections.abc import Mapping

from later_core.errors import PermissionDenied
from later_core.model.principal import Principal
from later_core.plugin.task import Task


def check_scope(who: Principal, task: str, labels: Mapping[str, str]) -> None:
    """Return if instances of this task with these labels lie within the caller's scope.

    Raises:
        PermissionDenied.
    """
    if not who.scope.covers(task, labels):
        raise PermissionDenied(
            who.name, f"a scope with task {task!r} and these labels; it is confined to {who.scope}"
        )


def check_start(who: Principal, task: Task) -> None:
    """Return if the caller may let this task run.

    Raises:
        PermissionDenied: the task needs a permission of its own.
    """
    if task.permission and not who.may(task.permission):
        raise PermissionDenied(who.name, f"the permission {task.permission} of task {task.name!r}")
