"""What a request names and is not there."""

from __future__ import annotations

from collections.abc import Sequence

from later_core.errors.root import LaterError


class NotFound(LaterError):
    """What the request names does not exist."""

    reason = "NOT_FOUND"


class InstanceNotFound(NotFound):
    """No instance of this id: never created, or removed after the retention."""

    reason = "INSTANCE_NOT_FOUND"

    def __init__(self, id: str) -> None:
        self.id = id
        super().__init__(f"no instance {id!r}; it was never created, or its retention is over")

    @property
    def metadata(self) -> dict[str, str]:
        return {"id": self.id}


class NodeNotFound(NotFound):
    """No living node of this id."""

    reason = "NODE_NOT_FOUND"

    def __init__(self, node: str) -> None:
        self.node = node
        super().__init__(f"no living node {node!r}; ListNodes (later nodes) names those there are")

    @property
    def metadata(self) -> dict[str, str]:
        return {"node": self.node}


class ScheduleNotFound(NotFound):
    """No schedule of this id: never created, or deleted."""

    reason = "SCHEDULE_NOT_FOUND"

    def __init__(self, id: str) -> None:
        self.id = id
        super().__init__(
            f"no schedule {id!r}; ListSchedules (later schedules list) names those there are"
        )

    @property
    def metadata(self) -> dict[str, str]:
        return {"id": self.id}


class TaskNotFound(NotFound):
    """No installed plugin provides this task."""

    reason = "TASK_NOT_FOUND"

    def __init__(self, task: str, nearest: Sequence[str] = ()) -> None:
        self.task = task
        self.nearest = tuple(nearest)
        hint = (
            f"did you mean {' or '.join(repr(n) for n in self.nearest)}?"
            if self.nearest
            else "install the plugin that provides it and restart; ListTasks (later plugins)"
            " names what there is"
        )
        super().__init__(f"no task {task!r} is installed; {hint}")

    @property
    def metadata(self) -> dict[str, str]:
        return {"task": self.task, "nearest": ",".join(self.nearest)}


class TokenNotFound(NotFound):
    """No token of this id: never created, or forgotten a month after its end."""

    reason = "TOKEN_NOT_FOUND"

    def __init__(self, id: str) -> None:
        self.id = id
        super().__init__(f"no token {id!r}; ListTokens (later tokens list) names those there are")

    @property
    def metadata(self) -> dict[str, str]:
        return {"id": self.id}
