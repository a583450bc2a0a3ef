"""Moving what is stored elsewhere: a place in an export, and what an import makes of each thing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from later_core.errors import LaterError
from later_core.model.attempts import with_end
from later_core.model.instance import Delivery, Instance, InstanceError
from later_core.model.query import PageKey
from later_core.model.schedule import Schedule
from later_core.model.state import State

NODE_LOST = InstanceError(
    reason="NODE_LOST", message="the node that ran this attempt was not there after an import"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportPlace:
    """A place in an export: its moment, and behind which instance and which schedule it goes on.

    Schedules follow once the instances are through.
    """

    moment: str
    instance: PageKey | None = None
    are_instances_through: bool = False
    schedule: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportPart:
    """Some of an export, and the place behind it. ``time`` is the moment by the database's clock.

    ``estimated_instances``: about how many there are in all, in the first part; None: not known.
    """

    place: ExportPlace
    time: datetime
    instances: Sequence[Instance] = ()
    schedules: Sequence[Schedule] = ()
    estimated_instances: int | None = None


class Restored(StrEnum):
    """What became of an instance or a schedule that was to be restored."""

    #: It is stored now.
    IMPORTED = "IMPORTED"
    #: It was there, as it is or at a later revision.
    EXISTING = "EXISTING"
    #: It stands in the place of another one, or of itself at an earlier revision.
    REPLACED = "REPLACED"
    #: Another one has its id, or itself at an earlier revision, and nothing was changed.
    TAKEN = "TAKEN"
    #: It was not asked for.
    LEFT_OUT = "LEFT_OUT"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportOptions:
    """How to import. ``exported_at`` is the moment of the export: nodes count as dead from then on."""

    exported_at: datetime
    validate_only: bool = False
    replace: bool = False
    only_ended: bool = False
    pause_schedules: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportReport:
    """What became of one batch: how often each, and by id why others were not stored.

    ``recovered``: those imported or replaced that were RUNNING.
    """

    instances: Mapping[Restored, int]
    schedules: Mapping[Restored, int]
    recovered: int
    failed_instances: Sequence[tuple[str, LaterError]]
    failed_schedules: Sequence[tuple[str, LaterError]]


def judge(stored: Instance | None, wanted: Instance, *, may_replace: bool) -> Restored:
    """What is to become of an instance, given what is stored under its id."""
    if stored is None:
        return Restored.IMPORTED
    # Of one life the later revision tells more; at the same revision, two lives have parted.
    if is_same(stored, wanted) and (stored == wanted or stored.revision > wanted.revision):
        return Restored.EXISTING
    if may_replace and stored.state is not State.RUNNING:
        return Restored.REPLACED
    return Restored.TAKEN


def judge_schedule(stored: Schedule | None, wanted: Schedule, *, may_replace: bool) -> Restored:
    """What is to become of a schedule, given what is stored under its id."""
    if stored is None:
        return Restored.IMPORTED
    identity = (stored.create_time, stored.fingerprint)
    if identity == (wanted.create_time, wanted.fingerprint) and stored.revision >= wanted.revision:
        return Restored.EXISTING
    return Restored.REPLACED if may_replace else Restored.TAKEN


def is_same(stored: Instance, wanted: Instance) -> bool:
    """Whether both are one instance, perhaps at different revisions: all that never changes is equal."""
    return _identity(stored) == _identity(wanted)


def _identity(instance: Instance) -> tuple[object, ...]:
    return (
        instance.id,
        instance.task,
        instance.create_time,
        instance.parameters,
        instance.retry,
        instance.timeout,
        instance.start_deadline,
        instance.delivery,
        instance.priority,
        instance.concurrency,
        instance.trace_parent,
        instance.labels,
        instance.schedule_id,
        instance.fingerprint,
    )


def in_place_of(stored: Instance, wanted: Instance) -> Instance:
    """The instance as it may stand in another's place.

    Its revision is later than both, since watchers order events by it. Numbers of attempts are never
    used again, since they fence the ends of attempts.
    """
    unused = max(0, stored.attempt - wanted.attempt)
    return replace(
        wanted,
        revision=max(stored.revision, wanted.revision) + 1,
        attempt=wanted.attempt + unused,
        uncounted_attempts=wanted.uncounted_attempts + unused,
    )


def after_loss(instance: Instance, *, at: datetime) -> Instance:
    """A RUNNING instance as the death of its node at that instant leaves it, by its delivery.

    The same each time it is asked, so that a second import finds what the first one stored.
    """
    if instance.state is not State.RUNNING:
        return instance
    changed = replace(
        instance,
        revision=instance.revision + 1,
        error=NODE_LOST,
        attempts=with_end(instance, end_time=at, error=NODE_LOST),
    )
    if instance.delivery is Delivery.AT_MOST_ONCE:
        return replace(changed, state=State.FAILED, finish_time=at)
    return replace(
        changed,
        state=State.PENDING,
        execution_time=at,
        uncounted_attempts=instance.uncounted_attempts + 1,
    )
