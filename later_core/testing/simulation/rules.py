"""What must hold in the moment in which something happens: a write, a beginning, a callback."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

from later_core.model.event import EventType
from later_core.model.instance import Delivery, Instance
from later_core.model.limits import ATTEMPTS_KEPT
from later_core.model.planning import instance_id
from later_core.model.retry import draw
from later_core.model.schedule import Overlap
from later_core.model.state import State, is_lawful
from later_core.testing.simulation.behaviour import result_of
from later_core.testing.simulation.ledger import Attempt, Change, End, Ledger
from later_core.testing.simulation.machine import Machine
from later_core.testing.simulation.timetable import nominal_times

_CALLBACKS = {
    "on_success": State.SUCCEEDED,
    "on_fail": State.FAILED,
    "on_abort": State.ABORTED,
}


class Rules:
    """Checks each observation against the promises; a broken one goes into the ledger."""

    def __init__(self, ledger: Ledger, *, lease: timedelta, claim_lead: timedelta) -> None:
        self.ledger = ledger
        self._lease = lease
        self._claim_lead = claim_lead
        self._callbacks: Counter[tuple[str, str]] = Counter()

    # -- writes ------------------------------------------------------------------------------

    def wrote(self, change: Change) -> None:
        """A change of an instance, just made."""
        before, after = change.before, change.after
        if before is None:
            self._created(after, change.type)
            return
        if after.revision != before.revision + 1:
            self._violated("each change raises the revision by one", after)
        if after.state is not before.state and not is_lawful(before.state, after.state):
            self._violated(f"no way leads from {before.state} to {after.state}", after)
        self._told(before, after)
        match before.state, after.state:
            case State.PENDING, State.RUNNING:
                self._claimed(before, after)
            case State.RUNNING, State.PENDING | State.SUCCEEDED | State.FAILED:
                self._given_up(before, after)
            case _, State.ABORTED:
                self._only_if_asked("abort", after)
            case State.PENDING, State.PENDING:
                self._only_if_asked("reschedule", after)
            case ((State.SUCCEEDED | State.FAILED | State.ABORTED), State.PENDING):
                self._only_if_asked("retry", after)

    def _told(self, before: Instance, after: Instance) -> None:
        """The history of attempts grows by the one that ended, and changes with nothing else."""
        if before.state is not State.RUNNING or after.state is State.RUNNING:
            if after.attempts != before.attempts:
                self._violated("the history of attempts changes when one ends", after)
            return
        *earlier, last = after.attempts or (None,)
        if last is None or tuple(earlier) != before.attempts[-ATTEMPTS_KEPT + 1 :]:
            self._violated("an attempt that ended stands in the history", after)
            return
        if (last.number, last.node) != (before.attempt, before.node):
            self._violated("the history tells of another attempt", after)
        if (last.error is None) is not (after.state is State.SUCCEEDED):
            self._violated("the history tells of another end", after)
        ended = self.ledger.attempts.get((before.id, before.attempt))
        if last.start_time is not None and (
            ended is None or abs(last.start_time - ended.began_at) > self._lease
        ):
            self._violated("the history tells of another beginning", after)

    def _created(self, after: Instance, type: EventType) -> None:
        new = (State.PENDING, 0, 1, EventType.CREATED)
        if (after.state, after.attempt, after.revision, type) != new:
            self._violated("an instance begins PENDING, unattempted", after)
        if after.schedule_id is not None:
            self._fired(after.schedule_id, after)

    def _fired(self, schedule_id: str, after: Instance) -> None:
        """A schedule has fired: at a time that its rules name, and beside no other unless it may."""
        spec = self.ledger.schedules[schedule_id]
        if after.id not in {instance_id(schedule_id, time) for time in nominal_times(spec)}:
            self._violated("a schedule fires at its nominal times", after)
        if spec.overlap is Overlap.ALLOW:
            return
        for other in self.ledger.rows.values():
            if (
                other.schedule_id == schedule_id
                and other.id != after.id
                and not other.state.is_final
            ):
                self._violated(f"fires although {other.id} has not ended", after)

    def _claimed(self, before: Instance, after: Instance) -> None:
        if after.attempt != before.attempt + 1:
            self._violated("each claim is another attempt", after)
        if before.execution_time > self.ledger.now() + self._claim_lead:
            self._violated("claimed too early", after)

    def _given_up(self, before: Instance, after: Instance) -> None:
        """An attempt leaves RUNNING: as its code ended, or because its node lost the right to it."""
        attempt = self.ledger.attempts.get((before.id, before.attempt))
        if after.attempt != before.attempt or after.node != before.node:
            self._violated("an end keeps the attempt and its node", after)
        reason = after.error.reason if after.error else ""
        if attempt is not None and attempt.end is None:
            if self.ledger.lives(attempt.node):
                self._violated("taken from a living node whose code runs", after)
            return
        match reason:
            case _ if after.state is State.SUCCEEDED:
                self._succeeded(before, after, attempt)
            case "TASK_FAILED":
                self._failed(before, after, attempt)
            case "MISSED":
                deadline = before.start_deadline
                if deadline is None or self.ledger.now() <= before.execution_time + deadline:
                    self._violated("MISSED although there was time", after)
            case "TIMEOUT":
                if before.timeout is None or attempt is None or attempt.end is not End.STOPPED:
                    self._violated("TIMEOUT although nothing was stopped", after)
            case _:
                self._handed_back(before, after, attempt, reason)

    def _handed_back(
        self, before: Instance, after: Instance, attempt: Attempt | None, reason: str
    ) -> None:
        """No fault of the attempt: what was to run at most once fails if it has begun, all else is due."""
        is_once = before.delivery is Delivery.AT_MOST_ONCE
        if after.state is State.FAILED:
            if not is_once:
                self._violated("failed for the loss of its node, though to be retried", after)
        elif attempt is not None and not reason:
            self._violated("handed back as never begun, although its code began", after)
        elif attempt is not None and is_once:
            self._violated("begun, to run at most once, and due again", after)

    def _succeeded(self, before: Instance, after: Instance, attempt: Attempt | None) -> None:
        if attempt is None or attempt.end is not End.RETURNED:
            self._violated("SUCCEEDED although its code did not return", after)
        elif after.result != result_of(before):
            self._violated("the result is another attempt's", after)

    def _failed(self, before: Instance, after: Instance, attempt: Attempt | None) -> None:
        if attempt is None or attempt.end is not End.RAISED:
            self._violated("TASK_FAILED although its code did not raise", after)
        allowed = before.retry.allows_another(before.counted_attempts)
        if allowed is not (after.state is State.PENDING):
            self._violated("retried or given up against its policy", after)
        if after.state is State.PENDING and attempt is not None and attempt.ended_at is not None:
            drawn = draw(before.id, before.attempt)
            earliest = attempt.ended_at + before.retry.backoff(before.counted_attempts, drawn)
            # The node's idea of the store's time may be a little behind it, never ahead.
            if after.execution_time > self.ledger.now() + before.retry.max_backoff * 2:
                self._violated("the backoff is too long", after)
            if after.execution_time < earliest - self._lease:
                self._violated("the backoff is too short", after)

    def _only_if_asked(self, what: str, after: Instance) -> None:
        schedule = self.ledger.schedules.get(after.schedule_id or "")
        if what == "abort" and schedule and schedule.overlap is Overlap.ABORT_RUNNING:
            return
        if not self.ledger.asked[what, after.id]:
            self._violated(f"{what} that nobody asked for", after)

    # -- code --------------------------------------------------------------------------------

    def began(self, instance: Instance, machine: Machine) -> None:
        """The code of an attempt begins on a machine in this moment."""
        ledger = self.ledger
        if not machine.is_running:
            return  # what a dead machine does is seen by nobody
        now = ledger.now()
        if now < instance.execution_time:
            self._violated(f"early by {instance.execution_time - now}", instance)
        if instance.attempt in ledger.began_in[instance.id]:
            self._violated("one attempt started twice", instance)
        row = ledger.rows[instance.id]
        is_owner = (row.node, row.attempt) == (instance.node, instance.attempt)
        if is_owner and row.state is State.RUNNING:
            pass
        elif (abort := self._abort_of(instance)) is not None:
            self._began_although_aborted(abort, machine)
        elif is_owner:
            self._violated(f"started although {row.state}", instance)
        else:
            self._violated(f"started, but the store says {row.state} on {row.node}", instance)
        forgiven = self._last_before_retry(instance.id)
        for earlier in ledger.began_in[instance.id]:
            if earlier > forgiven:
                self._followed(instance, ledger.attempts[instance.id, earlier])
        self._beside(instance)
        ledger.began(instance, machine)

    def _beside(self, instance: Instance) -> None:
        """Of those that carry its key no more run than may: each has found fewer than its own limit.

        Whoever of them came n-th found n - 1 others at the least, in whichever order they came.
        """
        if instance.concurrency is None:
            return
        limits = [instance.concurrency.limit]
        for _, attempt in self.ledger.running_with(instance.concurrency.key):
            is_heard = attempt.machine.is_running and not self._has_just_thawed(attempt)
            if is_heard and attempt.concurrency is not None:
                limits.append(attempt.concurrency.limit)
        if any(limit < n for n, limit in enumerate(sorted(limits), start=1)):
            self._violated(f"runs beside {len(limits) - 1} of its key", instance)

    def _has_just_thawed(self, attempt: Attempt) -> bool:
        """Whether its machine may not have found yet that it stood still for too long."""
        thawed_at = attempt.machine.thawed_at
        return thawed_at is not None and self.ledger.now() - thawed_at < self._lease

    def _last_before_retry(self, id: str) -> int:
        """The last attempt that a client knew of as it asked for the instance to run again."""
        for change in reversed(self.ledger.by_id[id]):
            if change.before is not None and change.before.state.is_final:
                return change.before.attempt
        return 0

    def _abort_of(self, instance: Instance) -> Change | None:
        """The abort of this very attempt, also where a retry has followed."""
        for change in self.ledger.by_id[instance.id]:
            ended = change.after
            if (ended.state, ended.attempt) == (State.ABORTED, instance.attempt):
                return change
        return None

    def _began_although_aborted(self, abort: Change, machine: Machine) -> None:
        """Lawful for a moment alone: aborted while claimed here, and not yet heard of."""
        row = abort.after
        if abort.before is None or abort.before.state is not State.RUNNING:
            self._violated("started after it was aborted while pending", row)
        elif abort.before.node != machine.name:
            self._violated("started on a node that did not hold what was aborted", row)
        elif machine.name in self.ledger.abort_answered[row.id]:
            self._violated("started after this very node had answered its abort", row)
        elif self.ledger.now() - abort.at > self._lease:
            self._violated("started long after it was aborted", row)

    def _followed(self, instance: Instance, earlier: Attempt) -> None:
        """Another attempt begins: the earlier one has ended, or its node could not be told to stop."""
        if instance.delivery is Delivery.AT_MOST_ONCE and earlier.end is None:
            self._violated("to run at most once, and started again", instance)
        if earlier.end is not None or not earlier.machine.is_running:
            return
        if self._has_just_thawed(earlier):
            return
        self._violated(f"runs on {earlier.node} still, which has lost its lease", instance)

    def called_back(self, callback: str, instance: Instance) -> None:
        """A callback of the task's code is called."""
        self._callbacks[callback, instance.id] += 1
        state = _CALLBACKS[callback]
        ends = sum(
            change.after.state is state
            and (change.before is None or change.before.state is not state)
            for change in self.ledger.by_id[instance.id]
        )
        if self._callbacks[callback, instance.id] > ends:
            self._violated(f"{callback} without an end that it belongs to", instance)

    def _violated(self, promise: str, instance: Instance) -> None:
        self.ledger.violated(
            promise + ":", f"{instance.id}/{instance.attempt} r{instance.revision}"
        )
