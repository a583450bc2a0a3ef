"""How one attempt went, and the ending that the store writes for it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from later_core.model.instance import InstanceError
from later_core.model.state import State
from later_core.model.value import value


@value
class Succeeded:
    """The task's code returned. ``note`` says what was kept back (a result over the limit)."""

    result: bytes = b""
    note: InstanceError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """The task's code raised, ran out of time, or could not begin. A final failure is not retried; a retry
    comes no sooner than ``retry_after``. It ``is_crash`` where the code itself gave way, by an exception that
    it did not mean, a process that died, or the time limit of its task: breakers count these.
    """

    error: InstanceError
    is_final: bool = False
    result: bytes = b""
    retry_after: timedelta | None = None
    is_crash: bool = field(default=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class HandedBack:
    """The attempt was given up through no fault of its own (shutdown): another attempt is due at once
    if the instance is delivered at least once, else it failed.
    """

    error: InstanceError


Outcome = Succeeded | Failed | HandedBack


@value
class Ending:
    """The end of one attempt, to be written only by the owner of that very attempt (fencing).

    ``state`` is SUCCEEDED, FAILED, or PENDING for another attempt at ``execution_time``. The attempt ended
    at ``end_time``, and with it the instance unless the state is PENDING; ``uncounted_attempts`` is what
    the instance has from then on.
    """

    id: str
    node: str
    attempt: int
    state: State
    start_time: datetime | None
    end_time: datetime
    execution_time: datetime | None = None
    result: bytes = b""
    error: InstanceError | None = None
    uncounted_attempts: int = 0

    @property
    def finish_time(self) -> datetime | None:
        """When the instance ended; None where another attempt follows."""
        return None if self.state is State.PENDING else self.end_time

    @property
    def attempt_error(self) -> InstanceError | None:
        """Why the attempt did not succeed; None where it did, whatever was kept back of its result."""
        return None if self.state is State.SUCCEEDED else self.error
