"""Checks of ``snapshot``, and of how it joins ``follow``."""

from __future__ import annotations

from later_core.model.event import EventType
from later_core.model.instance import Instance
from later_core.model.limits import RESPONSE_MAX_BYTES
from later_core.model.query import Filter
from later_core.model.state import State
from later_core.ports.store import Snapshot, Store
from later_core.testing.builders import an_instance
from later_core.testing.store_contract.steps import (
    HOUR,
    MILLISECOND,
    all_pages,
    both,
    claim,
    insert,
    live,
    moment_of,
    put_mark,
    story_since,
    together,
)

EVERYTHING = Filter()


async def _read(snapshot: Snapshot) -> list[Instance]:
    return [instance async for page in snapshot.pages() for instance in page]


class SnapshotsContract:
    """A snapshot is of one moment, and following goes on from that very moment."""

    async def test_an_empty_store_has_an_empty_snapshot_with_a_position(self, store: Store) -> None:
        async with store.snapshot(EVERYTHING) as snapshot:
            assert await _read(snapshot) == []
            assert snapshot.position
        states = await live(store, "one")
        await put_mark(store)
        told = await story_since(store, snapshot.position)
        assert [event.instance for event in told] == states

    async def test_what_matches_comes_in_order(self, store: Store) -> None:
        now = await moment_of(store)
        instances = [
            an_instance(
                f"id-{(n * 7) % 30:02d}",
                execution_time=now + (n % 3) * MILLISECOND,
                labels={"team": "ab"[n % 2]},
            )
            for n in range(30)
        ]
        await insert(store, *instances)
        filter = Filter(labels={"team": "a"}, states=frozenset({State.PENDING}))
        for wanted in (EVERYTHING, filter):
            async with store.snapshot(wanted) as snapshot:
                found = await _read(snapshot)
            assert found == sorted(
                (i for i in instances if wanted.matches(i)),
                key=lambda i: (i.execution_time, i.id),
            )

    async def test_pages_are_bounded_by_their_payloads(self, store: Store) -> None:
        now = await moment_of(store)
        parameters = b"p" * (RESPONSE_MAX_BYTES // 2)
        for id in "abcdef":
            await insert(store, an_instance(id, execution_time=now, parameters=parameters))
        async with store.snapshot(EVERYTHING) as snapshot:
            pages = [[i.id for i in page] async for page in snapshot.pages()]
        assert [id for page in pages for id in page] == list("abcdef")
        assert max(len(page) for page in pages) <= 3

    async def test_what_happens_after_its_moment_is_not_in_it(self, store: Store) -> None:
        now = await moment_of(store)
        instances = [an_instance(id, execution_time=now) for id in "abc"]
        await insert(store, *instances)
        async with store.snapshot(EVERYTHING) as snapshot:
            aborted = (await store.abort("a")).after
            [running] = await claim(store, "b")
            created = an_instance("d", execution_time=now)
            await insert(store, created)
            moved = await store.reschedule("c", now + HOUR, revision=None)
            found = await _read(snapshot)
        assert found == instances
        await put_mark(store)
        told = await story_since(store, snapshot.position)
        assert [event.instance for event in told] == [aborted, running, created, moved]

    async def test_snapshot_and_history_join_without_gap_or_repeat(self, store: Store) -> None:
        async def write() -> None:
            for group in range(6):
                await together(*(live(store, f"id-{group}-{n}") for n in range(5)))
            await put_mark(store)

        async def watch() -> list[tuple[list[Instance], str]]:
            seen = []
            for _ in range(5):
                async with store.snapshot(EVERYTHING) as snapshot:
                    seen.append((await _read(snapshot), snapshot.position))
            return seen

        _, seen = await both(write(), watch())
        final = {i.id: i for page in await all_pages(store, EVERYTHING, limit=1000) for i in page}
        del final["mark"]
        for found, position in seen:
            known = {instance.id: instance for instance in found}
            if "mark" in known:
                continue
            for event in await story_since(store, position):
                after = event.instance
                assert after is not None
                before = known.get(after.id)
                assert after.revision == (before.revision + 1 if before else 1)
                assert (event.type is EventType.CREATED) == (before is None)
                known[after.id] = after
            assert known == final
