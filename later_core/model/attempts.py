"""The history of attempts that an instance carries: bounded, and the same in every store."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from later_core.model.instance import Attempt, Instance, InstanceError
from later_core.model.limits import ATTEMPT_MESSAGE_MAX_LENGTH, ATTEMPTS_KEPT

NODE_LOST = InstanceError(
    reason="NODE_LOST", message="the node that ran this attempt died before it ended"
)
ABORTED = InstanceError(reason="ABORTED", message="aborted by a request while it ran")
CLAIM_LOST = InstanceError(
    reason="CLAIM_LOST", message="the answer to its claim was lost, and its code never began"
)


def with_end(
    instance: Instance, *, end_time: datetime, error: InstanceError | None
) -> tuple[Attempt, ...]:
    """The history once the attempt that a RUNNING instance is in has ended; the oldest may fall out of it.

    ``error`` is None for a success.
    """
    attempt = Attempt(
        number=instance.attempt,
        node=instance.node or "",
        start_time=instance.start_time,
        end_time=end_time,
        error=error and shortened(error),
    )
    return (*instance.attempts, attempt)[-ATTEMPTS_KEPT:]


def shortened(error: InstanceError) -> InstanceError:
    """The error as it stands in the history: what is too long of its message is cut off."""
    if len(error.message) <= ATTEMPT_MESSAGE_MAX_LENGTH:
        return error
    return replace(error, message=error.message[:ATTEMPT_MESSAGE_MAX_LENGTH])
