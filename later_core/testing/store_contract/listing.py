"""Checks of ``list`` and ``counts``."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from later_core.model.instance import Instance
from later_core.model.limits import RESPONSE_MAX_BYTES
from later_core.model.query import Filter, PageKey
from later_core.model.state import State
from later_core.ports.store import Store
from later_core.testing.builders import an_instance, failed, succeeded
from later_core.testing.store_contract.steps import (
    MILLISECOND,
    all_pages,
    claim,
    insert,
    moment_of,
    run,
)

EVERYTHING = Filter()


def _in_order(instances: list[Instance]) -> list[Instance]:
    return sorted(instances, key=lambda instance: (instance.execution_time, instance.id))


async def _a_mixed_crowd(store: Store) -> tuple[datetime, list[Instance]]:
    """Twelve instances in all states, of three tasks, four times, several labels."""
    now = await moment_of(store)
    instances = [
        an_instance(
            f"id-{n:02d}",
            execution_time=now + (n % 4) * MILLISECOND,
            task=("echo", "bash", "mail")[n % 3],
            labels={"team": "ab"[n % 2], "app.name": "x", **({"rare": "1"} if n == 5 else {})},
            schedule_id="nightly" if n % 5 == 0 else None,
        )
        for n in range(12)
    ]
    await insert(store, *instances)
    running = await claim(store, *(instance.id for instance in instances[:8]))
    assert all(await store.finish([succeeded(i, at=now) for i in running[:2]]))
    assert all(await store.finish([failed(i, at=now) for i in running[2:4]]))
    for instance in (running[4], instances[8]):
        await store.abort(instance.id)
    stored = [await store.get(instance.id) for instance in instances]
    return now, _in_order([instance for instance in stored if instance is not None])


class ListingContract:
    """Lists are complete, ordered, filtered and bounded."""

    async def test_an_empty_store_has_one_empty_page(self, store: Store) -> None:
        page = await store.list(EVERYTHING, after=None, limit=10)
        assert list(page.instances) == []
        assert page.next is None

    async def test_pages_follow_time_and_id_without_gap_or_repeat(self, store: Store) -> None:
        now = await moment_of(store)
        # Ten share each instant: a key of the time alone would skip or repeat some of them.
        instances = [
            an_instance(f"id-{(n * 7) % 30:02d}", execution_time=now + (n % 3) * MILLISECOND)
            for n in range(30)
        ]
        await insert(store, *instances)
        pages = await all_pages(store, EVERYTHING, limit=7)
        assert [len(page) for page in pages] == [7, 7, 7, 7, 2]
        assert [i for page in pages for i in page] == _in_order(instances)

    async def test_the_last_page_says_so_even_when_it_is_full(self, store: Store) -> None:
        now = await moment_of(store)
        await insert(store, *(an_instance(id, execution_time=now) for id in "abcd"))
        assert [len(page) for page in await all_pages(store, EVERYTHING, limit=2)] == [2, 2]
        assert [len(page) for page in await all_pages(store, EVERYTHING, limit=4)] == [4]

    async def test_a_key_is_a_place_whether_or_not_something_stands_there(
        self, store: Store
    ) -> None:
        now = await moment_of(store)
        await insert(store, *(an_instance(id, execution_time=now) for id in "ace"))
        page = await store.list(EVERYTHING, after=PageKey(now, "b"), limit=10)
        assert [i.id for i in page.instances] == ["c", "e"]
        page = await store.list(EVERYTHING, after=PageKey(now - MILLISECOND, "z"), limit=10)
        assert [i.id for i in page.instances] == ["a", "c", "e"]
        page = await store.list(EVERYTHING, after=PageKey(now, "e"), limit=10)
        assert (list(page.instances), page.next) == ([], None)

    async def test_what_is_inserted_before_the_key_disturbs_nothing(self, store: Store) -> None:
        now = await moment_of(store)
        await insert(store, *(an_instance(id, execution_time=now) for id in "bcd"))
        first = await store.list(EVERYTHING, after=None, limit=2)
        await insert(store, an_instance("a", execution_time=now))
        rest = await store.list(EVERYTHING, after=first.next, limit=2)
        assert [i.id for i in [*first.instances, *rest.instances]] == ["b", "c", "d"]

    async def test_a_page_closes_once_its_payloads_fill_a_response(self, store: Store) -> None:
        now = await moment_of(store)
        parameters = b"p" * (RESPONSE_MAX_BYTES // 3)
        for id in "abcdefg":
            await insert(store, an_instance(id, execution_time=now, parameters=parameters))
        pages = await all_pages(store, EVERYTHING, limit=100)
        assert [i.id for page in pages for i in page] == list("abcdefg")
        assert len(pages) > 1
        for page in pages:
            assert page
            assert sum(len(i.parameters) for i in page[:-1]) < RESPONSE_MAX_BYTES

    async def test_results_weigh_as_much_as_parameters(self, store: Store) -> None:
        now = await moment_of(store)
        half = b"h" * (RESPONSE_MAX_BYTES // 2)
        for id in "abcd":
            [running] = await run(store, id, parameters=half)
            assert await store.finish([succeeded(running, at=now, result=half)]) == [True]
        pages = await all_pages(store, EVERYTHING, limit=100)
        assert [[i.id for i in page] for page in pages] == [["a"], ["b"], ["c"], ["d"]]

    @pytest.mark.parametrize("limit", [1, 4, 100])
    async def test_each_filter_finds_exactly_what_matches(self, store: Store, limit: int) -> None:
        now, crowd = await _a_mixed_crowd(store)
        filters = [
            EVERYTHING,
            *(Filter(states=frozenset({state})) for state in State),
            Filter(states=frozenset({State.PENDING, State.FAILED})),
            Filter(tasks=frozenset({"bash"})),
            Filter(tasks=frozenset({"bash", "mail"})),
            Filter(tasks=frozenset({"nothing"})),
            Filter(start_time=now + MILLISECOND),
            Filter(end_time=now + 2 * MILLISECOND),
            Filter(start_time=now + MILLISECOND, end_time=now + 3 * MILLISECOND),
            Filter(start_time=now + timedelta(days=1)),
            Filter(labels={"team": "a"}),
            Filter(labels={"team": "b", "rare": "1"}),
            Filter(labels={"app.name": "x"}),
            Filter(labels={"app.name": "y"}),
            Filter(labels={"$ne": "x"}),
            Filter(labels={"app": "x"}),
            Filter(schedule_id="nightly"),
            Filter(
                states=frozenset({State.SUCCEEDED, State.PENDING, State.RUNNING}),
                tasks=frozenset({"echo", "mail"}),
                start_time=now,
                end_time=now + 3 * MILLISECOND,
                labels={"team": "a"},
            ),
        ]
        for filter in filters:
            found = [i for page in await all_pages(store, filter, limit=limit) for i in page]
            assert found == [i for i in crowd if filter.matches(i)], filter

    async def test_a_range_is_half_open(self, store: Store) -> None:
        now = await moment_of(store)
        await insert(
            store, *(an_instance(str(n), execution_time=now + n * MILLISECOND) for n in range(4))
        )
        filter = Filter(start_time=now + MILLISECOND, end_time=now + 3 * MILLISECOND)
        page = await store.list(filter, after=None, limit=10)
        assert [i.id for i in page.instances] == ["1", "2"]

    async def test_counts_has_every_state_and_what_nobody_can_run(self, store: Store) -> None:
        empty = await store.counts(["echo"])
        assert empty.by_state == dict.fromkeys(State, 0)
        assert empty.unresolved == {}
        _, crowd = await _a_mixed_crowd(store)
        counts = await store.counts(["echo"])
        assert counts.by_state == {state: sum(i.state is state for i in crowd) for state in State}
        # id-09 echo, id-10 bash, id-11 mail are still PENDING.
        assert counts.unresolved == {"bash": 1, "mail": 1}
        assert (await store.counts(["echo", "bash", "mail"])).unresolved == {}
        assert (await store.counts([])).unresolved == {"echo": 1, "bash": 1, "mail": 1}
