"""What is stored is not what the request takes it for."""

from __future__ import annotations

from later_core.errors.root import LaterError


class InstanceAlreadyExists(LaterError):
    """The id is taken by an instance of other content."""

    reason = "INSTANCE_ALREADY_EXISTS"

    def __init__(self, id: str) -> None:
        self.id = id
        super().__init__(f"instance {id!r} exists with other content; choose another id")

    @property
    def metadata(self) -> dict[str, str]:
        return {"id": self.id}


class ScheduleAlreadyExists(LaterError):
    """The id is taken by a schedule of other content."""

    reason = "SCHEDULE_ALREADY_EXISTS"

    def __init__(self, id: str) -> None:
        self.id = id
        super().__init__(
            f"schedule {id!r} exists with other content; UpdateSchedule changes it,"
            " or choose another id"
        )

    @property
    def metadata(self) -> dict[str, str]:
        return {"id": self.id}


class InstanceDiffers(InstanceAlreadyExists):
    """An import met another instance of this id, or the same one at an earlier revision."""

    reason = "INSTANCE_DIFFERS"

    def __init__(self, id: str) -> None:
        super().__init__(id)
        self.args = (
            (
                f"instance {id!r} is stored with other content, or at an earlier revision; it was left as"
                " it is, and replace would put this one in its place unless it is RUNNING"
            ),
        )


class ScheduleDiffers(ScheduleAlreadyExists):
    """An import met another schedule of this id, or the same one at an earlier revision."""

    reason = "SCHEDULE_DIFFERS"

    def __init__(self, id: str) -> None:
        super().__init__(id)
        self.args = (
            (
                f"schedule {id!r} is stored with other content, or at an earlier revision; it was left as"
                " it is, and replace would put this one in its place"
            ),
        )


class WrongState(LaterError):
    """The instance is in a state from which the request cannot lead anywhere."""

    reason = "WRONG_STATE"

    def __init__(self, id: str, state: str, remedy: str) -> None:
        self.id = id
        self.state = state
        super().__init__(f"instance {id!r} is {state}; {remedy}")

    @property
    def metadata(self) -> dict[str, str]:
        return {"id": self.id, "state": self.state}


class InstanceEnded(WrongState):
    """Abort or reschedule of an instance that has already ended."""

    reason = "INSTANCE_ENDED"

    def __init__(self, id: str, state: str) -> None:
        super().__init__(id, state, "it has ended; RetryInstance runs it again")


class InstanceRunning(WrongState):
    """Reschedule of an instance that is running."""

    reason = "INSTANCE_RUNNING"

    def __init__(self, id: str) -> None:
        super().__init__(id, "RUNNING", "wait for its end, or abort it first")


class InstanceNotEnded(WrongState):
    """Retry of an instance that has not ended."""

    reason = "INSTANCE_NOT_ENDED"

    def __init__(self, id: str, state: str) -> None:
        super().__init__(id, state, "only an ended instance can be run again")


class RevisionMismatch(LaterError):
    """The instance has changed since the caller read it (AIP-154)."""

    reason = "REVISION_MISMATCH"

    def __init__(self, id: str, expected: int, actual: int) -> None:
        self.id = id
        self.expected = expected
        self.actual = actual
        super().__init__(
            f"instance {id!r} is at revision {actual}, not {expected}; read it again and decide anew"
        )

    @property
    def metadata(self) -> dict[str, str]:
        return {"id": self.id, "expected": str(self.expected), "actual": str(self.actual)}


class EtagMismatch(LaterError):
    """The schedule has changed since the caller read it (AIP-154)."""

    reason = "ETAG_MISMATCH"

    def __init__(self, id: str, expected: str, actual: str) -> None:
        self.id = id
        self.expected = expected
        self.actual = actual
        super().__init__(
            f"schedule {id!r} has changed since it was read; read it again and decide anew"
        )

    @property
    def metadata(self) -> dict[str, str]:
        return {"id": self.id, "expected": self.expected, "actual": self.actual}
