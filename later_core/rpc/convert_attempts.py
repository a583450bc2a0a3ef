"""What has become of an instance, attempt by attempt: protobuf <-> values, both ways."""

from __future__ import annotations

from later_core.model.instance import Attempt, Instance, InstanceError
from later_core.rpc.times import fill_timestamp, from_timestamp
from later_core.rpc.v1 import later_pb2 as pb


def fill_outcome(message: pb.Instance, instance: Instance) -> None:
    """Write how the attempts of an instance ended into an empty message."""
    if instance.result:
        message.result = instance.result
    if instance.error is not None:
        _fill_error(message.error, instance.error)
    for attempt in instance.attempts:
        told = message.attempts.add()
        told.number = attempt.number
        told.node = attempt.node
        if attempt.start_time is not None:
            fill_timestamp(told.start_time, attempt.start_time)
        fill_timestamp(told.end_time, attempt.end_time)
        if attempt.error is not None:
            _fill_error(told.error, attempt.error)


def from_error(message: pb.Instance | pb.Attempt) -> InstanceError | None:
    """Why it did not succeed; None where nothing is said."""
    if not message.HasField("error"):
        return None
    return InstanceError(reason=message.error.reason, message=message.error.message)


def from_attempts(message: pb.Instance) -> tuple[Attempt, ...]:
    """The attempts that have ended, as a server sent them."""
    return tuple(
        Attempt(
            number=attempt.number,
            node=attempt.node,
            start_time=(
                from_timestamp(attempt.start_time, "start_time")
                if attempt.HasField("start_time")
                else None
            ),
            end_time=from_timestamp(attempt.end_time, "end_time"),
            error=from_error(attempt),
        )
        for attempt in message.attempts
    )


def _fill_error(message: pb.InstanceError, error: InstanceError) -> None:
    message.reason = error.reason
    message.message = error.message
