"""The contract is worth something only if a store that breaks its word is caught."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from later_core.model.event import EventBatch
from later_core.model.instance import Instance
from later_core.model.node import Node
from later_core.model.outcome import Ending
from later_core.model.query import DueEntry, Filter, Page, PageKey
from later_core.model.schedule import Schedule
from later_core.model.state import State
from later_core.model.transfer import Restored
from later_core.ports.store import InsertResult, Snapshot
from later_core.stores.memory import MemoryStore
from later_core.testing.clock import FakeClock
from later_core.testing.contracts import StoreContract


class ClaimsWhatIsNotDue(MemoryStore):
    async def claim(self, ids: Sequence[str], *, node: str, until: datetime) -> Sequence[Instance]:
        return await super().claim(ids, node=node, until=until + timedelta(days=1))


class AnswersWhatOthersClaimed(MemoryStore):
    async def claim(self, ids: Sequence[str], *, node: str, until: datetime) -> Sequence[Instance]:
        await super().claim(ids, node=node, until=until)
        stored = [await self.get(id) for id in dict.fromkeys(ids)]
        return [instance for instance in stored if instance and instance.node == node]


class ForgetsFencing(MemoryStore):
    async def finish(self, endings: Sequence[Ending]) -> Sequence[bool]:
        loose = []
        for ending in endings:
            stored = await self.get(ending.id)
            attempt = stored.attempt if stored else ending.attempt
            loose.append(replace(ending, attempt=attempt))
        return await super().finish(loose)


class TellsWhatIsThereNow(MemoryStore):
    """As a change stream with updateLookup does."""

    async def follow(self, position: str | None) -> AsyncIterator[EventBatch]:
        async for batch in super().follow(position):
            events = [replace(e, instance=await self.get(e.instance.id)) for e in batch.events]
            yield EventBatch(events, batch.position)


class RepeatsWhereItResumes(MemoryStore):
    async def follow(self, position: str | None) -> AsyncIterator[EventBatch]:
        if position is not None and int(position):
            position = f"{int(position) - 1:020d}"
        async for batch in super().follow(position):
            yield batch


class KeepsSilent(MemoryStore):
    async def follow(self, position: str | None) -> AsyncIterator[EventBatch]:
        async for batch in super().follow(position):
            if batch.events:
                yield batch


class KeepsAbortsToItself(MemoryStore):
    async def news(self, position: str | None) -> AsyncIterator[EventBatch]:
        async for batch in super().news(position):
            told = [e for e in batch.events if e.instance and e.instance.state is State.PENDING]
            yield EventBatch(told, batch.position)


class PagesByTimeAlone(MemoryStore):
    async def list(self, filter: Filter, *, after: PageKey | None, limit: int) -> Page:
        after = after and PageKey(after.execution_time, "\U0010ffff")
        return await super().list(filter, after=after, limit=limit)


class LooksBackOneMinute(MemoryStore):
    async def due(self, *, since: datetime | None, **rest: object) -> Sequence[DueEntry]:
        begin = await self.now() - timedelta(minutes=1)
        return await super().due(since=since or begin, **rest)  # type: ignore[arg-type]  # passed on as it came


class OverwritesWhatIsThere(MemoryStore):
    async def insert(self, instances: Sequence[Instance]) -> Sequence[InsertResult]:
        for instance in instances:
            stored = self._instances.get(instance.id)
            if stored is not None:
                self._unplace(stored)
                del self._instances[instance.id]
        return await super().insert(instances)


class NeverForgivesALateBeat(MemoryStore):
    async def beat(self, node: Node, *, lease: timedelta) -> datetime | None:
        known = self._leases.get(node.id)
        if known is not None and known.until <= await self.now():
            return None
        return await super().beat(node, lease=lease)


class RevivesTheDead(MemoryStore):
    async def beat(self, node: Node, *, lease: timedelta) -> datetime | None:
        await self.leave(node.id)
        return await super().beat(node, lease=lease)


class TakesFromTheLiving(MemoryStore):
    async def recover(self, *, limit: int) -> Sequence[Instance]:
        for lease in self._leases.values():
            lease.until = await self.now()
        return await super().recover(limit=limit)


class SnapshotsThePresent(MemoryStore):
    @asynccontextmanager
    async def snapshot(self, filter: Filter, **asked: Any) -> AsyncIterator[Snapshot]:
        async with super().snapshot(filter, **asked) as snapshot:
            yield _Present(self, filter, snapshot)


class _Present(Snapshot):
    def __init__(self, store: MemoryStore, filter: Filter, snapshot: Snapshot) -> None:
        self._store = store
        self._filter = filter
        self._snapshot = snapshot
        self.position, self.moment, self.time = snapshot.position, snapshot.moment, snapshot.time

    async def pages(self) -> AsyncIterator[Sequence[Instance]]:
        yield (await self._store.list(self._filter, after=None, limit=1000)).instances

    async def estimate(self) -> int:
        return await self._snapshot.estimate()

    def schedules(self, *, after: str | None = None) -> AsyncIterator[Sequence[Schedule]]:
        return self._snapshot.schedules(after=after)


class ReplacesUnasked(MemoryStore):
    async def restore(
        self, instances: Sequence[Instance], *, replace: bool, validate_only: bool
    ) -> Sequence[Restored]:
        return await super().restore(instances, replace=True, validate_only=validate_only)


@pytest.mark.parametrize(
    ("broken", "check"),
    [
        (ClaimsWhatIsNotDue, "test_what_is_not_due_is_not_claimed"),
        (ClaimsWhatIsNotDue, "test_what_was_rescheduled_meanwhile_is_not_claimed"),
        (AnswersWhatOthersClaimed, "test_a_claim_answers_only_what_it_claimed_itself"),
        (AnswersWhatOthersClaimed, "test_of_claims_at_the_same_time_each_instance_is_won_once"),
        (ForgetsFencing, "test_nobody_but_the_owner_of_the_attempt_can_end_it"),
        (ForgetsFencing, "test_the_end_of_an_earlier_attempt_changes_nothing"),
        (TellsWhatIsThereNow, "test_each_quick_change_is_told_as_it_was"),
        (TellsWhatIsThereNow, "test_many_changed_in_one_call_are_told_one_by_one"),
        (RepeatsWhereItResumes, "test_following_resumes_from_any_position_without_gap_or_repeat"),
        (RepeatsWhereItResumes, "test_snapshot_and_history_join_without_gap_or_repeat"),
        (KeepsAbortsToItself, "test_news_tell_each_way_to_wait_and_to_be_aborted"),
        (PagesByTimeAlone, "test_pages_follow_time_and_id_without_gap_or_repeat"),
        (LooksBackOneMinute, "test_what_is_overdue_is_due_however_old"),
        (OverwritesWhatIsThere, "test_an_id_of_other_content_is_taken"),
        (OverwritesWhatIsThere, "test_a_repeated_insert_answers_the_state_of_today"),
        (NeverForgivesALateBeat, "test_a_late_beat_renews_while_nobody_has_noticed"),
        (RevivesTheDead, "test_who_was_declared_dead_stays_dead"),
        (TakesFromTheLiving, "test_the_work_of_living_nodes_is_left_alone"),
        (SnapshotsThePresent, "test_what_happens_after_its_moment_is_not_in_it"),
        (SnapshotsThePresent, "test_snapshot_and_history_join_without_gap_or_repeat"),
        (SnapshotsThePresent, "test_a_moment_can_be_read_at_again"),
        (ReplacesUnasked, "test_another_of_the_same_id_is_kept_unless_told_otherwise"),
    ],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
async def test_a_store_that_breaks_its_word_is_caught(
    broken: type[MemoryStore], check: str
) -> None:
    assert await caught(broken, check)
    assert not await caught(MemoryStore, check)


async def test_a_store_that_says_nothing_is_given_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("later_core.testing.store_contract.steps.PATIENCE", 0.05)
    assert await caught(KeepsSilent, "test_the_first_batch_comes_at_once_and_says_where_it_stands")


async def caught(store_class: type[MemoryStore], check: str) -> bool:
    """Whether this check of the contract fails on a store of this class."""
    clock = FakeClock()
    arguments: dict[str, object] = {"store": store_class(clock=clock), "advance": clock.advance}
    method = getattr(StoreContract(), check)
    wanted = method.__func__.__code__.co_varnames[: method.__func__.__code__.co_argcount]
    try:
        await method(**{name: value for name, value in arguments.items() if name in wanted})
    except (AssertionError, TimeoutError, ValueError):
        return True
    return False
