"""Instances and what is asked of them: protobuf <-> values, both ways (the client uses it too).

From the wire come only requests that ``validation`` has passed; what a rule cannot say (a malformed
Duration, a number that JSON lacks) is answered with InvalidRequest that names the field.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from functools import lru_cache

from later_core.model.concurrency import Concurrency
from later_core.model.instance import NO_LABELS, Delivery, Instance, NewInstance
from later_core.model.query import Filter
from later_core.model.retry import NO_RETRY, RetryPolicy
from later_core.model.state import State
from later_core.rpc import json_text
from later_core.rpc.convert_attempts import fill_outcome, from_attempts, from_error
from later_core.rpc.times import (
    exact_duration,
    fill_timestamp,
    from_duration,
    from_timestamp,
    to_duration,
    to_timestamp,
)
from later_core.rpc.v1 import later_pb2 as pb

TO_STATE: dict[State, pb.State.ValueType] = {
    state: pb.State.Value(f"STATE_{state}") for state in State
}
FROM_STATE: dict[int, State] = {number: state for state, number in TO_STATE.items()}

_TO_DELIVERY: dict[Delivery, pb.Delivery.ValueType] = {
    delivery: pb.Delivery.Value(f"DELIVERY_{delivery}") for delivery in Delivery
}
_FROM_DELIVERY: dict[int, Delivery] = {
    pb.DELIVERY_UNSPECIFIED: Delivery.AT_LEAST_ONCE,
    **{number: delivery for delivery, number in _TO_DELIVERY.items()},
}

#: A request in which a time or a delay may stand.
WithDue = pb.CreateInstanceRequest | pb.RescheduleInstanceRequest | pb.RetryInstanceRequest

#: A message that says what an instance will be.
WithTemplate = pb.CreateInstanceRequest | pb.ScheduleSpec


def to_instance(instance: Instance) -> pb.Instance:
    """An instance on the wire."""
    message = pb.Instance()
    fill_instance(message, instance)
    return message


def fill_instance(message: pb.Instance, instance: Instance) -> None:
    """Write an instance into an empty message that is part of a larger one.

    Thrice as fast as making it and having it copied: this is the path of every event.
    """
    message.id = instance.id
    message.task = instance.task
    message.parameters = instance.parameters
    fill_timestamp(message.execution_time, instance.execution_time)
    message.state = TO_STATE[instance.state]
    message.attempt = instance.attempt
    message.retry.CopyFrom(_shared_retry(instance.retry))
    message.delivery = _TO_DELIVERY[instance.delivery]
    fill_timestamp(message.create_time, instance.create_time)
    message.revision = instance.revision
    message.uncounted_attempts = instance.uncounted_attempts
    message.priority = instance.priority
    message.principal = instance.principal
    _fill_wishes(message, instance)
    if instance.node is not None:
        message.node = instance.node
    if instance.start_time is not None:
        fill_timestamp(message.start_time, instance.start_time)
    if instance.finish_time is not None:
        fill_timestamp(message.finish_time, instance.finish_time)
    fill_outcome(message, instance)


def _fill_wishes(message: pb.Instance, instance: Instance) -> None:
    """What was asked for, and most do without."""
    if instance.timeout is not None:
        message.timeout.CopyFrom(to_duration(instance.timeout))
    if instance.start_deadline is not None:
        message.start_deadline.CopyFrom(to_duration(instance.start_deadline))
    if instance.labels:
        message.labels.update(instance.labels)
    if instance.concurrency is not None:
        _fill_concurrency(message.concurrency, instance.concurrency)
    if instance.schedule_id is not None:
        message.schedule_id = instance.schedule_id
    if instance.trace_parent is not None:
        message.trace_parent = instance.trace_parent


def from_instance(message: pb.Instance) -> Instance:
    """The instance that a server sent (its fingerprint stays with the server)."""
    has = message.HasField
    return Instance(
        id=message.id,
        task=message.task,
        parameters=message.parameters,
        execution_time=from_timestamp(message.execution_time, "execution_time"),
        state=FROM_STATE[message.state],
        attempt=message.attempt,
        uncounted_attempts=message.uncounted_attempts,
        revision=message.revision,
        retry=_policy(message.retry.SerializeToString()),
        timeout=exact_duration(message.timeout) if has("timeout") else None,
        start_deadline=exact_duration(message.start_deadline) if has("start_deadline") else None,
        delivery=_FROM_DELIVERY[message.delivery],
        labels=dict(message.labels) if message.labels else NO_LABELS,
        concurrency=_concurrency(message),
        schedule_id=message.schedule_id or None,
        trace_parent=message.trace_parent or None,
        principal=message.principal,
        node=message.node or None,
        create_time=from_timestamp(message.create_time, "create_time"),
        start_time=from_timestamp(message.start_time, "start_time") if has("start_time") else None,
        finish_time=(
            from_timestamp(message.finish_time, "finish_time") if has("finish_time") else None
        ),
        result=message.result,
        error=from_error(message),
        attempts=from_attempts(message),
        priority=message.priority,
    )


def to_new_instance(new: NewInstance) -> pb.CreateInstanceRequest:
    """The request that asks for this instance."""
    message = pb.CreateInstanceRequest(id=new.id or "")
    fill_template(message, new)
    set_due(message, new.execution_time, new.delay)
    return message


def fill_template(message: WithTemplate, new: NewInstance) -> None:
    """Write into an empty message what the instance will be, but for its id and its time."""
    message.task = new.task
    message.parameters = new.parameters
    message.delivery = _TO_DELIVERY[new.delivery]
    message.labels.update(new.labels)
    message.priority = new.priority
    if new.retry is not NO_RETRY:
        message.retry.CopyFrom(to_retry(new.retry))
    if new.timeout is not None:
        message.timeout.CopyFrom(to_duration(new.timeout))
    if new.start_deadline is not None:
        message.start_deadline.CopyFrom(to_duration(new.start_deadline))
    if new.concurrency is not None:
        _fill_concurrency(message.concurrency, new.concurrency)


def from_new_instance(
    message: pb.CreateInstanceRequest, trace_parent: str | None = None
) -> NewInstance:
    """What a request asks to be created, on behalf of a span.

    Raises:
        InvalidRequest: a time, a duration or the ``json`` is malformed.

    """
    execution_time, delay = from_due(message)
    new = from_template(message, message.id or None, execution_time, delay)
    return new if trace_parent is None else replace(new, trace_parent=trace_parent)


def from_template(
    message: WithTemplate,
    id: str | None = None,
    execution_time: datetime | None = None,
    delay: timedelta | None = None,
) -> NewInstance:
    """What a message says of the instance, with an id and a time from elsewhere.

    Raises:
        InvalidRequest: a duration or the ``json`` is malformed.

    """
    has = message.HasField
    return NewInstance(
        id=id,
        task=message.task,
        parameters=(json_text.to_text(message.json, "json") if has("json") else message.parameters),
        execution_time=execution_time,
        delay=delay,
        retry=from_retry(message.retry) if has("retry") else NO_RETRY,
        timeout=from_duration(message.timeout, "timeout") if has("timeout") else None,
        start_deadline=(
            from_duration(message.start_deadline, "start_deadline")
            if has("start_deadline")
            else None
        ),
        delivery=_FROM_DELIVERY[message.delivery],
        labels=dict(message.labels) if message.labels else NO_LABELS,
        concurrency=_concurrency(message),
        priority=message.priority,
    )


def _fill_concurrency(message: pb.Concurrency, concurrency: Concurrency) -> None:
    message.key = concurrency.key
    message.limit = concurrency.limit


def _concurrency(message: WithTemplate | pb.Instance) -> Concurrency | None:
    if not message.HasField("concurrency"):
        return None
    return Concurrency(key=message.concurrency.key, limit=message.concurrency.limit)


def set_due(message: WithDue, execution_time: datetime | None, delay: timedelta | None) -> None:
    """Write into a request when it is due: an instant, a delay, or neither."""
    if execution_time is not None:
        message.execution_time.CopyFrom(to_timestamp(execution_time))
    elif delay is not None:
        message.delay.CopyFrom(to_duration(delay))


def from_due(message: WithDue) -> tuple[datetime | None, timedelta | None]:
    """When a request is due: an instant or a delay, the other one (or both) None.

    Raises:
        InvalidRequest: it is malformed.

    """
    match message.WhichOneof("due"):
        case "execution_time":
            return from_timestamp(message.execution_time, "execution_time"), None
        case "delay":
            return None, from_duration(message.delay, "delay")
        case _:
            return None, None


def to_retry(retry: RetryPolicy) -> pb.RetryPolicy:
    """A retry policy on the wire, every field said."""
    return pb.RetryPolicy(
        max_attempts=retry.max_attempts,
        min_backoff=to_duration(retry.min_backoff),
        max_backoff=to_duration(retry.max_backoff),
        multiplier=retry.multiplier,
        jitter=retry.jitter,
        final_reasons=retry.final_reasons,
    )


@lru_cache(maxsize=1024)
def _shared_retry(retry: RetryPolicy) -> pb.RetryPolicy:
    """The message of a policy, to be copied from: many instances have few policies."""
    return to_retry(retry)


def from_retry(message: pb.RetryPolicy) -> RetryPolicy:
    """The retry policy meant; what is unset or zero (but for the jitter) takes the default.

    Raises:
        InvalidRequest: a backoff is malformed.

    """
    return RetryPolicy(
        max_attempts=message.max_attempts or NO_RETRY.max_attempts,
        min_backoff=(
            from_duration(message.min_backoff, "retry.min_backoff") or NO_RETRY.min_backoff
        ),
        max_backoff=(
            from_duration(message.max_backoff, "retry.max_backoff") or NO_RETRY.max_backoff
        ),
        multiplier=message.multiplier or NO_RETRY.multiplier,
        jitter=message.jitter if message.HasField("jitter") else NO_RETRY.jitter,
        final_reasons=tuple(message.final_reasons),
    )


@lru_cache(maxsize=1024)
def _policy(data: bytes) -> RetryPolicy:
    """The policy in a serialized message that a server sent: many instances have few policies."""
    return from_retry(pb.RetryPolicy.FromString(data))


def to_filter(filter: Filter) -> pb.InstanceFilter:
    """A filter on the wire."""
    message = pb.InstanceFilter(
        states=[TO_STATE[state] for state in sorted(filter.states)],
        tasks=sorted(filter.tasks),
        labels=dict(filter.labels),
        schedule_id=filter.schedule_id or "",
    )
    if filter.start_time is not None:
        message.start_time.CopyFrom(to_timestamp(filter.start_time))
    if filter.end_time is not None:
        message.end_time.CopyFrom(to_timestamp(filter.end_time))
    return message


def from_filter(message: pb.InstanceFilter) -> Filter:
    """The conditions meant.

    Raises:
        InvalidRequest: a time is malformed.

    """
    has = message.HasField
    # Execution times are whole milliseconds, so rounding either bound up changes no answer.
    return Filter(
        states=frozenset(FROM_STATE[number] for number in message.states),
        tasks=frozenset(message.tasks),
        start_time=(
            from_timestamp(message.start_time, "filter.start_time") if has("start_time") else None
        ),
        end_time=from_timestamp(message.end_time, "filter.end_time") if has("end_time") else None,
        labels=dict(message.labels) if message.labels else NO_LABELS,
        schedule_id=message.schedule_id or None,
    )
