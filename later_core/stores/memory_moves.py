"""How the in-memory store moves an instance: each move as a pure function of what was before.

The moves are those of ``later_core.model.state.LAWFUL_MOVES``, and each raises the revision by one.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from later_core.errors import (
    InstanceEnded,
    InstanceNotEnded,
    InstanceRunning,
    RevisionMismatch,
)
from later_core.model.attempts import ABORTED, CLAIM_LOST, NODE_LOST, with_end
from later_core.model.instance import Delivery, Instance
from later_core.model.outcome import Ending
from later_core.model.state import State
from later_core.model.transfer import Restored, in_place_of, judge


def changed(instance: Instance, **changes: Any) -> Instance:
    """The instance with these fields and the next revision."""
    return replace(instance, revision=instance.revision + 1, **changes)


def aborted(instance: Instance, *, now: datetime) -> Instance:
    """PENDING or RUNNING -> ABORTED.

    Raises:
        InstanceEnded: it has ended.

    """
    if instance.state.is_final:
        raise InstanceEnded(instance.id, instance.state)
    attempts = instance.attempts
    if instance.state is State.RUNNING:
        attempts = with_end(instance, end_time=now, error=ABORTED)
    return changed(instance, state=State.ABORTED, finish_time=now, attempts=attempts)


def rescheduled(instance: Instance, execution_time: datetime, *, revision: int | None) -> Instance:
    """PENDING -> PENDING at another time.

    Raises:
        InstanceRunning, InstanceEnded: it is not PENDING.
        RevisionMismatch: it is not at the revision asked for.

    """
    if instance.state is State.RUNNING:
        raise InstanceRunning(instance.id)
    if instance.state.is_final:
        raise InstanceEnded(instance.id, instance.state)
    if revision is not None and revision != instance.revision:
        raise RevisionMismatch(instance.id, revision, instance.revision)
    return changed(instance, execution_time=execution_time)


def retried(instance: Instance, execution_time: datetime) -> Instance:
    """An ended instance -> PENDING, its retry policy begun anew.

    Raises:
        InstanceNotEnded: it has not ended.

    """
    if not instance.state.is_final:
        raise InstanceNotEnded(instance.id, instance.state)
    return changed(
        instance,
        state=State.PENDING,
        execution_time=execution_time,
        uncounted_attempts=instance.attempt,
        node=None,
        start_time=None,
        finish_time=None,
        result=b"",
        error=None,
    )


def claimed(instance: Instance, *, node: str) -> Instance:
    """PENDING -> RUNNING by this node, as its next attempt."""
    return changed(
        instance,
        state=State.RUNNING,
        node=node,
        attempt=instance.attempt + 1,
        start_time=None,
        error=None,
    )


def finished(instance: Instance, ending: Ending) -> Instance:
    """RUNNING -> what the ending says."""
    return changed(
        instance,
        state=ending.state,
        execution_time=ending.execution_time or instance.execution_time,
        start_time=ending.start_time,
        finish_time=ending.finish_time,
        result=ending.result,
        error=ending.error,
        uncounted_attempts=ending.uncounted_attempts,
        attempts=with_end(
            # The ending says when the code began, and that it never did.
            replace(instance, start_time=ending.start_time),
            end_time=ending.end_time,
            error=ending.attempt_error,
        ),
    )


def recovered(instance: Instance, *, now: datetime) -> Instance:
    """RUNNING on a node that died -> PENDING or FAILED, as its delivery asks."""
    attempts = with_end(instance, end_time=now, error=NODE_LOST)
    if instance.delivery is Delivery.AT_MOST_ONCE:
        return changed(
            instance, state=State.FAILED, finish_time=now, error=NODE_LOST, attempts=attempts
        )
    return changed(
        instance,
        state=State.PENDING,
        execution_time=now,
        error=NODE_LOST,
        uncounted_attempts=instance.uncounted_attempts + 1,
        attempts=attempts,
    )


def reclaimed(instance: Instance, *, now: datetime) -> Instance:
    """RUNNING in the store alone -> PENDING, due as before."""
    return changed(
        instance,
        state=State.PENDING,
        uncounted_attempts=instance.uncounted_attempts + 1,
        attempts=with_end(instance, end_time=now, error=CLAIM_LOST),
    )


def restored(
    stored: Instance | None, wanted: Instance, *, may_replace: bool
) -> tuple[Restored, Instance | None]:
    """What becomes of an instance that is to be restored, and what is to be written for it, if anything."""
    verdict = judge(stored, wanted, may_replace=may_replace)
    if verdict is Restored.IMPORTED:
        return verdict, wanted
    if verdict is Restored.REPLACED and stored is not None:
        return verdict, in_place_of(stored, wanted)
    return verdict, None


def is_owner(instance: Instance, *, node: str, attempt: int) -> bool:
    """Whether this very attempt is running on this node: nobody else may write its end."""
    return instance.state is State.RUNNING and instance.node == node and instance.attempt == attempt


def is_written(instance: Instance, ending: Ending) -> bool:
    """Whether this same ending is what the instance shows.

    The execution time is not compared: a retry may have been rescheduled since.
    """
    return (
        instance.state is ending.state
        and instance.node == ending.node
        and instance.attempt == ending.attempt
        and instance.start_time == ending.start_time
        and instance.finish_time == ending.finish_time
        and instance.result == ending.result
        and instance.error == ending.error
    )
