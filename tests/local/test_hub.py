"""The hub: everyone sees all that matches, in order, or is told by name that it was too slow."""

import asyncio
import operator
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from later_core.errors import SubscriberTooSlow
from later_core.local.hub import Hub
from later_core.model.event import Event, EventBatch, EventType
from later_core.model.instance import Instance
from later_core.model.query import Filter
from later_core.testing.clock import FakeClock

THEN = datetime(2030, 1, 1, tzinfo=UTC)


def event(number, *, task="t", size=0):
    instance = Instance(
        id=f"i{number}", task=task, execution_time=THEN, create_time=THEN, parameters=b"x" * size
    )
    return Event(
        type=EventType.CREATED, instance=instance, event_time=THEN, position=f"{number:08}"
    )


def batch(*events, position=None):
    return EventBatch(list(events), position or events[-1].position)


async def test_a_subscriber_sees_what_matches_in_order_and_then_a_bookmark():
    hub = Hub()
    with hub.subscribe(Filter(tasks=frozenset({"t"}))) as subscription:
        hub.publish(batch(position="0"))
        await subscription.started.wait()
        hub.publish(batch(event(1), event(2, task="other"), event(3), event(4, task="other")))
        first = await subscription.take(1)
        assert ([e.position for e in first.events], first.position) == (["00000001"], "00000001")
        second = await subscription.take(10)
        assert ([e.position for e in second.events], second.position) == (["00000003"], "00000004")


async def test_the_start_is_where_the_hub_stands():
    hub = Hub()
    with hub.subscribe(Filter()) as early:
        assert not early.started.is_set()
        hub.publish(batch(event(1)))
        assert early.start == "00000001"
        with hub.subscribe(Filter()) as late:
            assert late.start == "00000001"
        hub.publish(batch(event(2)))
        assert [e.position for e in (await early.take(10)).events] == ["00000002"]


@pytest.mark.parametrize(
    ("limits", "size"), [({"max_events": 3}, 0), ({"max_bytes": 8_000}, 2_000)]
)
async def test_a_slow_subscriber_gets_what_it_had_room_for_and_then_its_token(limits, size):
    hub = Hub(**limits)
    with hub.subscribe(Filter()) as slow, hub.subscribe(Filter()) as quick:
        hub.publish(batch(position="0"))
        seen = []
        for number in range(1, 9):
            hub.publish(batch(event(number, size=size)))
            seen += (await quick.take(10)).events
        assert len(seen) == 8
        taken = await slow.take(100)
        with pytest.raises(SubscriberTooSlow) as error:
            await slow.take(100)
        assert error.value.resume_token == taken.events[-1].position == taken.position
        assert 0 < len(taken.events) < 8


async def test_it_is_wanted_only_while_somebody_listens():
    hub = Hub()
    assert not hub.is_wanted.is_set()
    with hub.subscribe(Filter()):
        assert hub.is_wanted.is_set()
        assert len(hub) == 1
    assert not hub.is_wanted.is_set()


async def test_a_waiting_subscriber_is_woken():
    hub = Hub()
    with hub.subscribe(Filter()) as subscription:
        hub.publish(batch(position="0"))
        async with asyncio.TaskGroup() as group:
            taken = group.create_task(subscription.take(10))
            await FakeClock().settle()
            hub.publish(batch(event(1)))
        assert [e.position for e in taken.result().events] == ["00000001"]


async def test_a_resync_passes_every_filter():
    hub = Hub()
    resync = Event(type=EventType.RESYNC, instance=None, event_time=THEN, position="5")
    with hub.subscribe(Filter(tasks=frozenset({"none"}))) as subscription:
        hub.publish(batch(position="0"))
        hub.publish(EventBatch([resync], "5"))
        assert (await subscription.take(10)).events == [resync]


async def test_who_asked_for_everything_and_who_did_not_are_told_from_one_publication():
    hub = Hub()
    with (
        hub.subscribe(Filter()) as all_of_it,
        hub.subscribe(Filter(tasks=frozenset({"t"}))) as some,
    ):
        hub.publish(batch(position="0"))
        hub.publish(batch(event(1), event(2, task="other"), event(3, size=100)))
        assert [e.position for e in (await all_of_it.take(10)).events] == [
            "00000001",
            "00000002",
            "00000003",
        ]
        assert [e.position for e in (await some.take(10)).events] == ["00000001", "00000003"]


async def test_those_with_equal_filters_are_handed_the_very_same_batch():
    hub = Hub()
    some = [Filter(tasks=frozenset({"t"})) for _ in range(2)]
    with (
        hub.subscribe(some[0]) as one,
        hub.subscribe(some[1]) as another,
        hub.subscribe(Filter()) as third,
    ):
        hub.publish(batch(position="0"))
        hub.publish(batch(event(1), event(2, task="other")))
        hub.publish(batch(event(3)))
        taken = [await subscription.take(10) for subscription in (one, another, third)]
        assert [[e.position for e in part.events] for part in taken[0].parts] == [
            ["00000001"],
            ["00000003"],
        ]
        assert all(map(operator.is_, taken[0].parts, taken[1].parts))
        assert [len(part.events) for part in taken[2].parts] == [2, 1]


@given(
    st.lists(st.one_of(st.integers(0, 6), st.integers(-8, -1)), max_size=40),
    st.integers(1, 12),
)
def test_whatever_the_batches_all_comes_in_order_up_to_what_there_is_room_for(steps, room):
    """A step publishes so many events (0: a bookmark), or takes so many."""

    async def check():
        hub, told, published, overflown = Hub(max_events=room), [], 0, None
        with hub.subscribe(Filter()) as subscription:
            hub.publish(batch(position="00000000"))
            for step in steps:
                if step >= 0:
                    new = [event(number) for number in range(published + 1, published + step + 1)]
                    held = published - len(told) if overflown is None else 0
                    if overflown is None and held + step > room:
                        overflown = len(told) + room
                    published += step
                    hub.publish(batch(*new, position=f"{published:08}"))
                    continue
                if (published if overflown is None else overflown) == len(told):
                    continue
                taken = await subscription.take(-step)
                assert 0 < len(taken.events) <= -step
                assert [e for part in taken.parts for e in part.events] == taken.events
                told += [int(e.position) for e in taken.events]
                assert int(taken.position) == told[-1]
            while overflown is not None and len(told) < overflown:
                told += [int(e.position) for e in (await subscription.take(100)).events]
            if overflown is not None:
                with pytest.raises(SubscriberTooSlow) as error:
                    await subscription.take(1)
                assert int(error.value.resume_token) == len(told) == overflown
        assert told == list(range(1, len(told) + 1))

    asyncio.run(check())
