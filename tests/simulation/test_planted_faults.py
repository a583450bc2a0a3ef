"""The simulation can fail: faults that are planted on purpose are found, each by some seed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from later_core.engine import admission
from later_core.engine.deciding import _Decision
from later_core.engine.dispatcher import Dispatcher
from later_core.engine.finisher import Finisher
from later_core.engine.holder import Holder
from later_core.engine.news import News
from later_core.engine.planner import Planner
from later_core.engine.runner import Runner
from later_core.engine.slots import Slots
from later_core.errors import StoreUnavailable
from later_core.local.database_clock import DatabaseClock
from later_core.local.lease import Lease
from later_core.local.membership import Membership
from later_core.local.runs import Run, Runs, Stop
from later_core.local.window import Window
from later_core.model.event import EventBatch, EventType
from later_core.model.instance import Delivery, Instance
from later_core.model.instant import EPOCH
from later_core.model.state import State
from later_core.ports.schedules import ScheduleStep
from later_core.ports.store import Aborted
from later_core.service.instances import Instances
from later_core.service.placement import place
from later_core.service.subscriptions import Subscriptions
from later_core.stores import memory_moves as moves
from later_core.testing.simulation import simulate
from later_core.testing.simulation.watched_store import WatchedStore

#: Every fault is found by one of so many seeds.
SEEDS = 400

Patch = pytest.MonkeyPatch
FAULTS: dict[str, Callable[[Patch], None] | type[WatchedStore]] = {}


def planted(fault: Any) -> Any:
    """A fault of the engine (a function that patches it) or of the store (a class)."""
    FAULTS[fault.__name__] = fault
    return fault


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_found(name: str, monkeypatch: Patch):
    fault, store = FAULTS[name], WatchedStore
    if isinstance(fault, type):
        store = fault
    else:
        fault(monkeypatch)
    for seed in range(SEEDS):
        if not simulate(seed, store=store).is_good:
            return
    pytest.fail(f"{SEEDS} seeds have not found it")


# -- the store ---------------------------------------------------------------------------------


@planted
class FinishWithoutFencing(WatchedStore):
    def _finish_one(self, ending):
        instance = self._instances[ending.id]
        if instance.state is not State.RUNNING:
            return super()._finish_one(ending)
        self._write(moves.finished(instance, ending))
        return True


@planted
class EndThatIsNotTold(WatchedStore):
    """The history of attempts leaves out what was tried before."""

    def _write(self, after, type=EventType.UPDATED):
        return super()._write(replace(after, attempts=after.attempts[-1:]), type)


@planted
class ClaimWithoutTheState(WatchedStore):
    async def claim(self, ids, *, node, until, is_admitted=False):
        await self._yield()
        rows = [self._instances[id] for id in ids]
        return [
            self._write(moves.claimed(row, node=node)) for row in rows if not row.state.is_final
        ]


@planted
class PullWithALowerBound(WatchedStore):
    """The fault of the ancestor: a pull began one minute ago."""

    async def due(self, *, since, **asked):
        return await super().due(since=max(since or EPOCH, self._now()), **asked)


@planted
class RecoverTheLiving(WatchedStore):
    async def recover(self, *, limit):
        await self._yield()
        return [self._write(moves.recovered(i, now=self._now())) for i in list(self._running())]


@planted
class RecoverNobody(WatchedStore):
    async def recover(self, *, limit):
        await self._yield()
        return []


@planted
class AbortThatIsNotStored(WatchedStore):
    async def abort(self, id):
        await self._yield()
        before = self._existing(id)
        return Aborted(before, moves.aborted(before, now=self._now()))


@planted
class FeedThatSkips(WatchedStore):
    async def follow(self, position):
        async for batch in super().follow(position):
            events = [event for event in batch.events if not event.position.endswith("7")]
            yield EventBatch(events, batch.position)


@planted
class FeedThatRepeats(WatchedStore):
    async def follow(self, position):
        async for batch in super().follow(position):
            yield EventBatch([*batch.events, *batch.events[-1:]], batch.position)


@planted
class PlannersThatAllAreHeard(WatchedStore):
    def _move(self, before, after):
        if before.id not in self._schedules:
            return False
        self._schedules[before.id] = after
        return True


@planted
def attempts_that_are_not_counted(patch: Patch) -> None:
    claimed = moves.claimed
    patch.setattr(
        moves, "claimed", lambda i, node: replace(claimed(i, node=node), attempt=max(1, i.attempt))
    )


@planted
def at_most_once_that_is_retried(patch: Patch) -> None:
    recovered = moves.recovered

    def forgetful(instance: Instance, *, now: Any) -> Instance:
        after = recovered(replace(instance, delivery=Delivery.AT_LEAST_ONCE), now=now)
        return replace(after, delivery=instance.delivery)

    patch.setattr(moves, "recovered", forgetful)


# -- slots -------------------------------------------------------------------------------------


@planted
class ClaimThatNeedsNoSlot(WatchedStore):
    async def claim(self, ids, *, node, until, is_admitted=False):
        return await super().claim(ids, node=node, until=until, is_admitted=True)


@planted
class SlotsThatAreTakenInTwoSteps(WatchedStore):
    """Counted first and taken then, and others may come in between."""

    async def take_slots(self, slots):
        free = [len(self._slots.get(slot.key, ())) < slot.limit for slot in slots]
        await self._clock.sleep(0.01)
        return [
            is_free and self._take_slot(replace(slot, limit=slot.limit + 1))
            for slot, is_free in zip(slots, free, strict=True)
        ]


@planted
class SlotsOfANodeThatIsSilentAreFreedAtOnce(WatchedStore):
    """Before the lease has run out: its code goes on for a while."""

    async def free_slots(self):
        await super().free_slots()
        silent_since = self._now() - timedelta(seconds=0.4)
        for slot in self._all_slots():
            if self._leases[slot.node].status.beat_time < silent_since:
                self._let_go(slot.key, (slot.node, slot.serial))


@planted
class SlotsOfTheDeadThatNobodyFrees(WatchedStore):
    async def free_slots(self):
        await self._yield()


@planted
class SweepOfWhatWasTakenSince(WatchedStore):
    async def sweep_slots(self, node, *, up_to, keep):
        await super().sweep_slots(node, up_to=up_to, keep=())


@planted
def a_slot_that_is_kept_after_an_abort(patch: Patch) -> None:
    release = Runner._release

    def forgetful(self: Any, run: Run) -> None:
        if run.stop_reason is not Stop.ABORTED:
            release(self, run)

    patch.setattr(Runner, "_release", forgetful)


@planted
def a_slot_that_is_kept_when_its_claim_comes_to_nothing(patch: Patch) -> None:
    claim = Dispatcher._claim_admitted

    async def forgetful(self: Any, admitted: Sequence[Any]) -> None:
        give_back, self._admission.give_back = self._admission.give_back, lambda *_: None
        try:
            await claim(self, admitted)
        finally:
            self._admission.give_back = give_back

    patch.setattr(Dispatcher, "_claim_admitted", forgetful)


@planted
def slots_without_an_answer_that_nobody_looks_for(patch: Patch) -> None:
    async def nobody(self: Any) -> None:
        return

    patch.setattr(Slots, "sweep", nobody)


@planted
def a_full_key_that_is_never_asked_for_again(patch: Patch) -> None:
    patch.setattr(admission, "POLL", 1e6)


# -- the engine --------------------------------------------------------------------------------


@planted
def trust_in_the_nodes_own_clock(patch: Patch) -> None:
    patch.setattr(
        DatabaseClock,
        "now_ms",
        lambda self: (self._clock.now() - EPOCH).total_seconds() * 1000,
    )


@planted
def a_lease_by_the_wall_clock(patch: Patch) -> None:
    def wall(self: Any) -> float:
        return float(self._clock.now().timestamp())

    def renewed(self: Any, node: str, asked_at: float) -> None:
        self.node = node
        self._trusted_until = wall(self) + self.seconds * (1 - Lease.MARGIN)

    patch.setattr(Lease, "renewed", renewed)
    patch.setattr(Lease, "is_held", property(lambda self: wall(self) < self._trusted_until))
    patch.setattr(Lease, "remaining", property(lambda self: self._trusted_until - wall(self)))


@planted
def a_lease_that_is_ignored(patch: Patch) -> None:
    patch.setattr(Lease, "is_held", property(lambda self: True))


@planted
def a_fence_that_stops_nothing(patch: Patch) -> None:
    patch.setattr(Runs, "stop_all", lambda self, reason: None)


@planted
def a_failed_claim_that_is_not_put_back(patch: Patch) -> None:
    patch.setattr(Window, "put_back", lambda self, entries, *, now_ms: None)


@planted
def lost_claims_that_are_not_handed_back(patch: Patch) -> None:
    async def forget(self: Any) -> None:
        self._failures = 0
        self._looked_at = self._clock.monotonic()

    patch.setattr(Dispatcher, "_hand_back_lost_claims", forget)


@planted
def handing_back_while_claims_are_under_way(patch: Patch) -> None:
    reserve = Runs.reserve

    def hasty(self: Any, count: int) -> None:
        reserve(self, count)
        self.no_claims.set()

    patch.setattr(Runs, "reserve", hasty)
    # Lawful at any time, as long as no claim is under way.
    patch.setattr(Dispatcher, "_is_look_due", lambda self: True)


@planted
def a_start_without_waiting_for_its_time(patch: Patch) -> None:
    async def at_once(self: Any, run: Run) -> None:
        return

    patch.setattr(Runner, "_hold", at_once)
    patch.setattr(Holder, "hold", lambda self, run: self._begin(run))


@planted
def an_abort_that_does_not_stop_the_run(patch: Patch) -> None:
    patch.setattr(Runs, "abort", lambda self, aborted, *, node: None)


@planted
def an_end_that_is_given_up_at_the_first_error(patch: Patch) -> None:
    async def once(self: Any, endings: Sequence[Any]) -> Any:
        return await self._store.finish(endings)

    patch.setattr(Finisher, "_write", once)


@planted
def news_of_other_nodes_that_nobody_reads(patch: Patch) -> None:
    patch.setattr(News, "_take", lambda self, event: None)


@planted
def a_doubt_that_leads_to_nothing(patch: Patch) -> None:
    patch.setattr(Window, "doubt", lambda self: None)


# -- schedules ---------------------------------------------------------------------------------


@planted
def a_decision_that_is_kept_in_memory_alone(patch: Patch) -> None:
    advance = WatchedStore.advance_schedules

    async def forgetful(self: Any, steps: Sequence[ScheduleStep]) -> Sequence[bool]:
        return await advance(
            self, [replace(s, after=replace(s.after, starting=(), aborting=())) for s in steps]
        )

    patch.setattr(WatchedStore, "advance_schedules", forgetful)


@planted
def a_decision_that_is_carried_out_before_it_is_stored(patch: Patch) -> None:
    advance = Planner._advance

    async def hasty(self: Any, steps: Sequence[ScheduleStep]) -> Any:
        decided = [replace(step.before, progress=step.after) for step in steps]
        await self._carrier._store_instances(decided)
        return await advance(self, steps)

    patch.setattr(Planner, "_advance", hasty)


@planted
def a_schedule_that_is_deaf_to_its_earlier_runs(patch: Patch) -> None:
    async def nobody(self: Any, schedules: Any) -> dict[str, Any]:
        return {}

    patch.setattr(WatchedStore, "active_instances", nobody)


@planted
def a_run_that_waits_for_ever(patch: Patch) -> None:
    patch.setattr(_Decision, "take_from_waiting", lambda self: None)


@planted
def schedules_that_only_one_node_plans(patch: Patch) -> None:
    patch.setattr(Membership, "plans", lambda self, *_: self.is_alone)


# -- the services ------------------------------------------------------------------------------


@planted
def an_offer_that_is_lost_after_a_reschedule(patch: Patch) -> None:
    reschedule = Instances._reschedule

    async def forgetful(self: Any, id: str, *args: Any) -> Instance:
        instance = await reschedule(self, id, *args)
        self._window.discard(id)
        return instance

    patch.setattr(Instances, "_reschedule", forgetful)


@planted
def a_create_that_is_acknowledged_without_the_write(patch: Patch) -> None:
    create = Instances.create

    async def rash(self: Any, request: Any) -> Instance:
        try:
            return await create(self, request)
        except StoreUnavailable:
            return place(request, now=self._database_clock.now())

    patch.setattr(Instances, "create", rash)


@planted
def a_resume_token_that_is_ignored(patch: Patch) -> None:
    watch = Subscriptions.watch

    def forgetful(self: Any, filter: Any, *, resume_token: Any, include_existing: bool) -> Any:
        return watch(self, filter, resume_token=None, include_existing=include_existing)

    patch.setattr(Subscriptions, "watch", forgetful)
