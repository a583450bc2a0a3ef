"""An outcome becomes the next state, in the store, in groups."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Self

import structlog

from later_core.engine.supervisor import backoff
from later_core.errors import StoreUnavailable
from later_core.local.database_clock import DatabaseClock
from later_core.local.grouping import Group
from later_core.local.intake import Intake
from later_core.local.runs import was_aborted_running
from later_core.model.instance import Delivery, Instance
from later_core.model.instant import from_millis, round_up
from later_core.model.outcome import Ending, Failed, HandedBack, Outcome, Succeeded
from later_core.model.retry import draw
from later_core.model.state import State
from later_core.ports.clock import Clock
from later_core.ports.store import Store

_log = structlog.get_logger(__name__)

#: Ends that come one after the other are written together, in seconds: on a busy node each waits this
#: long at most, on a quiet one not at all.
_PACE = 0.01


def ending_of(
    instance: Instance, outcome: Outcome, *, now: datetime, start_time: datetime | None
) -> Ending:
    """What the store is to write for this outcome of the instance's current attempt.

    ``start_time`` is None when the task's code never began; ``now`` is the database's.
    """
    state, execution_time, error, result = State.FAILED, None, None, b""
    uncounted = instance.uncounted_attempts
    match outcome:
        case Succeeded():
            state, result, error = State.SUCCEEDED, outcome.result, outcome.note
        case Failed():
            error, result = outcome.error, outcome.result
            if not outcome.is_final and instance.retry.allows_another(
                instance.counted_attempts, error.reason
            ):
                state = State.PENDING
                drawn = draw(instance.id, instance.attempt)
                wait = instance.retry.backoff(instance.counted_attempts, drawn)
                if outcome.retry_after is not None:
                    wait = max(wait, min(outcome.retry_after, instance.retry.max_backoff))
                execution_time = round_up(now + wait)
        case HandedBack():
            error = outcome.error
            if start_time is None or instance.delivery is Delivery.AT_LEAST_ONCE:
                state, execution_time = State.PENDING, instance.execution_time
                uncounted += 1
    return Ending(
        id=instance.id,
        node=instance.node or "",
        attempt=instance.attempt,
        state=state,
        start_time=start_time,
        end_time=now,
        execution_time=execution_time,
        result=result,
        error=error,
        uncounted_attempts=uncounted,
    )


class Finisher:
    """Writes the ends of attempts; concurrent ones travel as one batch."""

    def __init__(
        self,
        *,
        store: Store,
        intake: Intake,
        clock: Clock,
        database_clock: DatabaseClock,
        on_scheduled_end: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._store = store
        self._intake = intake
        self._clock = clock
        self._database_clock = database_clock
        #: Told the schedule of each instance that has one and has ended.
        self._on_scheduled_end = on_scheduled_end
        self._group: Group[Ending, bool] = Group(
            self._write, limit=1000, in_flight=2, clock=clock, pace=_PACE
        )
        self._gives_up_at = float("inf")

    async def __aenter__(self) -> Self:
        await self._group.__aenter__()
        return self

    async def __aexit__(self, *failure: object) -> None:
        await self._group.__aexit__(*failure)

    def give_up_after(self, seconds: float) -> None:
        """From now on a store that is away is waited for so long and no longer."""
        self._gives_up_at = self._clock.monotonic() + seconds

    async def finish(
        self, instance: Instance, outcome: Outcome, *, start_ms: float | None
    ) -> Ending | None:
        """Write the end of the attempt; answers it, or None when the attempt was no longer ours.

        ``start_ms`` is when the task's code began, in milliseconds since the Unix epoch, None if it
        never did.

        While the database is away this waits for it: the outcome is known and must not be lost.

        Raises:
            StoreUnavailable: the node shuts down and cannot wait any longer; the attempt is then
                recovered like that of a dead node.
        """
        ending = ending_of(
            instance,
            outcome,
            now=from_millis(int(self._database_clock.now_ms())),
            start_time=None if start_ms is None else from_millis(int(start_ms)),
        )
        accepted = await self._group.submit(ending)
        if not accepted:
            _log.info("ending refused", instance=instance.id, attempt=instance.attempt)
            return None
        if ending.execution_time is not None:
            self._intake.offer(
                instance.task, instance.id, ending.execution_time, priority=instance.priority
            )
        elif instance.schedule_id is not None:
            self._on_scheduled_end(instance.schedule_id)
        return ending

    async def was_aborted(self, instance: Instance) -> bool:
        """Whether this attempt, whose end was refused, was aborted while it ran.

        While the database is away this waits for it, as ``finish`` does; False once it gives up.
        """
        failures = 0
        while True:
            try:
                found = await self._store.get(instance.id)
            except StoreUnavailable:
                failures += 1
                if self._clock.monotonic() >= self._gives_up_at:
                    return False
                await self._clock.sleep(backoff(failures))
            else:
                return (
                    found is not None
                    and (found.node, found.attempt) == (instance.node, instance.attempt)
                    and was_aborted_running(found)
                )

    async def _write(self, endings: Sequence[Ending]) -> Sequence[bool]:
        failures = 0
        while True:
            try:
                return await self._store.finish(endings)
            except StoreUnavailable as error:
                failures += 1
                if self._clock.monotonic() >= self._gives_up_at:
                    raise
                _log.warning("finish failed", count=len(endings), detail=error.detail)
                await self._clock.sleep(backoff(failures))
