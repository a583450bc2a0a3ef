"""Which events people are told of."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any

from later_core import Event, State

_KINDS = {
    State.FAILED: "failed",
    State.ABORTED: "aborted",
    State.SUCCEEDED: "succeeded",
}
KINDS = frozenset({*_KINDS.values(), "late"})
#: As much of an error's message is told.
_MESSAGE_CHARACTERS = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """What people are told of one end. ``id`` and ``revision`` name the change once and for all.

    ``late_seconds`` is how long after its execution time the last attempt began, None where none did.
    """

    kind: str
    id: str
    revision: int
    task: str
    attempt: int
    execution_time: datetime
    end_time: datetime
    late_seconds: float | None
    schedule_id: str | None
    reason: str
    message: str

    def as_json(self) -> dict[str, Any]:
        """As a webhook gets it; instants as RFC 3339 texts."""
        times = {
            "execution_time": self.execution_time.isoformat(),
            "end_time": self.end_time.isoformat(),
        }
        return asdict(self) | times


class Rules:
    """Only ends are told of, and of each end one thing: what it is, or else that it began late."""

    def __init__(self, *, kinds: str, late_after: float, tasks: str) -> None:
        """``kinds`` and ``tasks`` are divided by commas; ``late_after`` is in seconds.

        Raises:
            ValueError: a kind is none.

        """
        self._kinds = frozenset(listed(kinds))
        if unknown := sorted(self._kinds - KINDS):
            raise ValueError(f"notify_on: {unknown[0]!r} is none of {', '.join(sorted(KINDS))}")
        self._late_after = late_after
        self._tasks = listed(tasks)

    def notice_of(self, event: Event) -> Notice | None:
        """The notice that this event is worth, if it is."""
        instance = event.instance
        if instance is None or instance.state not in _KINDS or event.type != "UPDATED":
            return None
        late = None
        if instance.start_time is not None:
            late = (instance.start_time - instance.execution_time).total_seconds()
        kind = _KINDS[instance.state]
        if kind not in self._kinds:
            if "late" not in self._kinds or late is None or late <= self._late_after:
                return None
            kind = "late"
        if not any(fnmatchcase(instance.task, pattern) for pattern in self._tasks):
            return None
        error = instance.error if instance.state is not State.SUCCEEDED else None
        return Notice(
            kind=kind,
            id=instance.id,
            revision=instance.revision,
            task=instance.task,
            attempt=instance.attempt,
            execution_time=instance.execution_time,
            end_time=instance.finish_time or event.event_time,
            late_seconds=late,
            schedule_id=instance.schedule_id,
            reason=error.reason if error else "",
            message=error.message[:_MESSAGE_CHARACTERS] if error else "",
        )


def listed(text: str) -> list[str]:
    """The parts of a setting that are divided by commas."""
    return [part.strip() for part in text.split(",") if part.strip()]
