"""Schedules and what is asked of them: protobuf <-> values, both ways (the client uses it too)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from later_core.errors import InvalidRequest
from later_core.model.instance import NO_LABELS
from later_core.model.schedule import (
    Backfill,
    CatchUp,
    ListedSchedule,
    Overlap,
    Progress,
    Schedule,
    ScheduleFilter,
    ScheduleSpec,
)
from later_core.rpc.convert import FROM_STATE, TO_STATE, fill_template, from_template
from later_core.rpc.convert_rules import (
    from_exclusion,
    from_rule,
    in_proto,
    to_exclusion,
    to_rule,
)
from later_core.rpc.times import from_duration, from_timestamp, to_duration, to_timestamp
from later_core.rpc.v1 import later_pb2 as pb
from later_core.rpc.validation import prefixed

_TO_OVERLAP: dict[Overlap, pb.Overlap.ValueType] = {
    overlap: pb.Overlap.Value(f"OVERLAP_{overlap}") for overlap in Overlap
}
_FROM_OVERLAP: dict[int, Overlap] = {
    pb.OVERLAP_UNSPECIFIED: Overlap.SKIP,
    **{number: overlap for overlap, number in _TO_OVERLAP.items()},
}
_TO_CATCH_UP: dict[CatchUp, pb.CatchUp.ValueType] = {
    catch_up: pb.CatchUp.Value(f"CATCH_UP_{catch_up}") for catch_up in CatchUp
}
_FROM_CATCH_UP: dict[int, CatchUp] = {
    pb.CATCH_UP_UNSPECIFIED: CatchUp.LAST,
    **{number: catch_up for catch_up, number in _TO_CATCH_UP.items()},
}

#: The answers that hold a schedule and what was found out about it.
WithListed = pb.ListedSchedule | pb.GetScheduleResponse


def to_spec(spec: ScheduleSpec) -> pb.ScheduleSpec:
    """What is asked of a schedule, on the wire."""
    message = pb.ScheduleSpec(
        rules=[to_rule(rule) for rule in spec.rules],
        exclusions=[to_exclusion(exclusion) for exclusion in spec.exclusions],
        time_zone=spec.time_zone,
        max_runs=spec.max_runs or 0,
        overlap=_TO_OVERLAP[spec.overlap],
        catch_up=_TO_CATCH_UP[spec.catch_up],
        pause_on_failure=spec.pause_on_failure,
    )
    fill_template(message, spec.template)
    if spec.start_time is not None:
        message.start_time.CopyFrom(to_timestamp(spec.start_time))
    if spec.end_time is not None:
        message.end_time.CopyFrom(to_timestamp(spec.end_time))
    if spec.jitter:
        message.jitter.CopyFrom(to_duration(spec.jitter))
    if spec.catchup_window is not None:
        message.catchup_window.CopyFrom(to_duration(spec.catchup_window))
    return message


def from_spec(message: pb.ScheduleSpec) -> ScheduleSpec:
    """What a message asks of a schedule. Its rules are not yet judged.

    Raises:
        InvalidRequest: a time, a duration, a date or the ``json`` is malformed; its path begins below
            the spec.

    """
    zone = message.time_zone or "UTC"
    has = message.HasField
    return ScheduleSpec(
        template=from_template(message),
        rules=tuple(
            from_rule(rule, zone, f"rules[{index}]") for index, rule in enumerate(message.rules)
        ),
        exclusions=tuple(
            from_exclusion(exclusion, zone, f"exclusions[{index}]")
            for index, exclusion in enumerate(message.exclusions)
        ),
        time_zone=zone,
        start_time=from_timestamp(message.start_time, "start_time") if has("start_time") else None,
        end_time=from_timestamp(message.end_time, "end_time") if has("end_time") else None,
        max_runs=message.max_runs or None,
        jitter=from_duration(message.jitter, "jitter"),
        overlap=_FROM_OVERLAP[message.overlap],
        catch_up=_FROM_CATCH_UP[message.catch_up],
        catchup_window=(
            from_duration(message.catchup_window, "catchup_window")
            if has("catchup_window")
            else None
        ),
        pause_on_failure=message.pause_on_failure,
    )


@contextmanager
def within_spec() -> Iterator[None]:
    """What is found wrong inside is named as a field of the request's ``spec``."""
    try:
        yield
    except InvalidRequest as error:
        raise prefixed(in_proto(error), "spec.") from None


def to_schedule(schedule: Schedule) -> pb.Schedule:
    """A schedule on the wire."""
    progress = schedule.progress
    message = pb.Schedule(
        id=schedule.id,
        spec=to_spec(schedule.spec),
        is_paused=schedule.is_paused,
        pause_note=schedule.pause_note,
        progress=pb.ScheduleProgress(
            planned_until=to_timestamp(progress.planned_until),
            runs=progress.runs,
            missed=progress.missed,
            skipped=progress.skipped,
            waiting=[to_timestamp(time) for time in progress.waiting],
        ),
        create_time=to_timestamp(schedule.create_time),
        update_time=to_timestamp(schedule.update_time),
        revision=schedule.revision,
        etag=schedule.etag,
        principal=schedule.principal,
    )
    if progress.next_time is not None:
        message.progress.next_time.CopyFrom(to_timestamp(progress.next_time))
    return message


def from_schedule(message: pb.Schedule) -> Schedule:
    """The schedule that a server sent (what is for planners alone stays with the server)."""
    progress = message.progress
    return Schedule(
        id=message.id,
        spec=from_spec(message.spec),
        progress=Progress(
            planned_until=from_timestamp(progress.planned_until, "planned_until"),
            next_time=(
                from_timestamp(progress.next_time, "next_time")
                if progress.HasField("next_time")
                else None
            ),
            runs=progress.runs,
            missed=progress.missed,
            skipped=progress.skipped,
            waiting=tuple(from_timestamp(time, "waiting") for time in progress.waiting),
        ),
        create_time=from_timestamp(message.create_time, "create_time"),
        update_time=from_timestamp(message.update_time, "update_time"),
        revision=message.revision,
        is_paused=message.is_paused,
        pause_note=message.pause_note,
        principal=message.principal,
    )


def fill_listed(message: WithListed, listed: ListedSchedule) -> None:
    """Write a schedule, and what was found out about it, into an empty message."""
    message.schedule.CopyFrom(to_schedule(listed.schedule))
    for state, number in TO_STATE.items():
        message.states.add(state=number, count=listed.counts.get(state, 0))
    message.next_times.extend(to_timestamp(time) for time in listed.next_times)


def from_listed(message: WithListed) -> ListedSchedule:
    """The schedule that a server sent, and what it found out about it."""
    return ListedSchedule(
        schedule=from_schedule(message.schedule),
        counts={FROM_STATE[count.state]: count.count for count in message.states},
        next_times=tuple(from_timestamp(time, "next_times") for time in message.next_times),
    )


def to_schedule_filter(filter: ScheduleFilter) -> pb.ScheduleFilter:
    """A filter on the wire."""
    return pb.ScheduleFilter(
        tasks=sorted(filter.tasks), labels=dict(filter.labels), is_paused=filter.is_paused
    )


def from_schedule_filter(message: pb.ScheduleFilter) -> ScheduleFilter:
    """The conditions meant."""
    return ScheduleFilter(
        tasks=frozenset(message.tasks),
        labels=dict(message.labels) if message.labels else NO_LABELS,
        is_paused=message.is_paused if message.HasField("is_paused") else None,
    )


def to_backfill(backfill: Backfill) -> pb.BackfillScheduleResponse:
    """What a backfill did, on the wire."""
    message = pb.BackfillScheduleResponse(created=backfill.created, existing=backfill.existing)
    if backfill.next_start is not None:
        message.next_start_time.CopyFrom(to_timestamp(backfill.next_start))
    return message


def from_backfill(message: pb.BackfillScheduleResponse) -> Backfill:
    """What a server says that a backfill did."""
    return Backfill(
        created=message.created,
        existing=message.existing,
        next_start=(
            from_timestamp(message.next_start_time, "next_start_time")
            if message.HasField("next_start_time")
            else None
        ),
    )
