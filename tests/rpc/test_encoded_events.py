"""Watch responses: encoded once for all, and what every gRPC client can receive and resume behind."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from later_core.model.event import Event, EventBatch, EventType
from later_core.model.instance import Instance
from later_core.model.limits import RESPONSE_MAX_BYTES
from later_core.ports.turns import turn
from later_core.rpc import encoded_events
from later_core.rpc.convert_events import from_response, to_event
from later_core.rpc.encoded_events import EncodedEvents
from later_core.rpc.v1 import later_pb2 as pb


def event(number: int, *, size: int = 0, type: EventType = EventType.UPDATED) -> Event:
    instant = datetime(2030, 1, 1, tzinfo=UTC)
    instance = Instance(
        id=f"i{number}",
        task="echo",
        execution_time=instant,
        create_time=instant,
        parameters=b"x" * size,
        revision=number,
    )
    return Event(type=type, instance=instance, event_time=instant, position=f"p{number}")


async def responses(
    batch: EventBatch, encoded: EncodedEvents | None = None
) -> list[pb.WatchInstancesResponse]:
    """As a client parses them."""
    encoded = encoded or EncodedEvents()
    return [pb.WatchInstancesResponse.FromString(data) async for data in encoded.responses(batch)]


def joined(*batches: EventBatch) -> EventBatch:
    """As the hub hands over several that it has published."""
    return EventBatch(
        [event for batch in batches for event in batch.events], batches[-1].position, batches
    )


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[Event]:
    """The events that are encoded, each as often as it is."""
    counted: list[Event] = []
    fill = encoded_events.fill_event

    def counting(message: pb.InstanceEvent, event: Event) -> None:
        counted.append(event)
        fill(message, event)

    monkeypatch.setattr(encoded_events, "fill_event", counting)
    return counted


async def test_a_batch_of_events_comes_back_as_it_went():
    batch = EventBatch([event(1)], "p1")
    (response,) = await responses(batch)
    assert from_response(response) == batch


async def test_a_bookmark_is_a_response_without_events():
    (response,) = await responses(EventBatch([], "p7"))
    assert response == pb.WatchInstancesResponse(resume_token="p7")


async def test_a_resync_has_no_instance():
    resync = Event(
        type=EventType.RESYNC,
        instance=None,
        event_time=datetime(2030, 1, 1, tzinfo=UTC),
        position="p1",
    )
    (response,) = await responses(EventBatch([resync], "p1"))
    assert response.events[0].type == pb.EVENT_TYPE_RESYNC
    assert not response.events[0].HasField("instance")
    assert from_response(response).events == [resync]


async def test_a_batch_is_split_so_that_each_response_can_be_received_and_resumed_behind():
    events = [event(n, size=RESPONSE_MAX_BYTES // 3) for n in range(1, 8)]
    events.append(event(8, size=RESPONSE_MAX_BYTES + 1))
    told = await responses(EventBatch(events, "p9"))
    ids = [[e.instance.id for e in response.events] for response in told]
    assert ids == [["i1", "i2"], ["i3", "i4"], ["i5", "i6"], ["i7"], ["i8"]]
    assert [r.resume_token for r in told] == ["p2", "p4", "p6", "p7", "p9"]
    assert all(r.ByteSize() < 4 * 1024 * 1024 for r in told)


async def test_what_exists_is_told_without_a_token():
    events = [event(n, size=RESPONSE_MAX_BYTES // 2, type=EventType.EXISTING) for n in (1, 2, 3)]
    told = await responses(EventBatch(events, ""))
    assert len(told) > 1
    assert {response.resume_token for response in told} == {""}


@given(
    st.lists(st.lists(st.integers(1, 40), max_size=40), min_size=1, max_size=4),
    st.integers(0, 5_000),
)
def test_joined_parts_are_the_message_itself_however_much_is_remembered(
    numbers: list[list[int]], remembered_bytes: int
):
    async def check() -> None:
        encoded = EncodedEvents(remembered_bytes=remembered_bytes)
        batches = [
            EventBatch([event(number, size=100) for number in some], f"p{max(some, default=0)}")
            for some in numbers
        ]
        events = [event for batch in batches for event in batch.events]
        position = batches[-1].position
        whole = pb.WatchInstancesResponse(events=map(to_event, events), resume_token=position)
        for batch in (joined(*batches), EventBatch(events, position), joined(*batches)):
            assert await responses(batch, encoded) == [whole]

    asyncio.run(check())


async def test_what_several_are_told_is_encoded_once(counted: list[Event]):
    encoded = EncodedEvents()
    one, two = event(1), event(2)
    await responses(EventBatch([one, two], "p2"), encoded)
    await responses(EventBatch([one], "p1"), encoded)
    await responses(EventBatch([two], "p2"), encoded)
    assert counted == [one, two]


async def test_a_batch_of_several_subscribers_is_not_even_looked_at_again(counted: list[Event]):
    encoded = EncodedEvents(remembered_bytes=10_000_000)
    shared = EventBatch([event(n) for n in range(40)], "p39")
    both = await asyncio.gather(  # noqa: TID251 - two subscribers, by turns
        *(responses(joined(shared), encoded) for _ in range(2))
    )
    encoded._part = None  # type: ignore[assignment,method-assign]  # from here on not asked
    assert both == [await responses(joined(shared), encoded)] * 2
    assert counted == shared.events


async def test_of_the_batches_only_the_last_ones_are_remembered(counted: list[Event]):
    encoded = EncodedEvents(remembered_bytes=0)
    first = joined(EventBatch([event(0)], "p0"))
    for batch in (first, *(joined(EventBatch([event(n)], f"p{n}")) for n in range(1, 30)), first):
        (told,) = await responses(batch, encoded)
        assert [one.instance.id for one in told.events] == [e.instance.id for e in batch.events]
    assert len(counted) == 31


async def test_of_many_events_a_few_are_encoded_in_one_turn_of_the_loop(counted: list[Event]):
    most = turns = before = 0

    def count() -> None:
        nonlocal most, turns, before
        most, before, turns = max(most, len(counted) - before), len(counted), turns + 1
        asyncio.get_running_loop().call_soon(count)

    count()
    await responses(EventBatch([event(n) for n in range(100)], "p99"))
    assert (len(counted), most) == (100, 32)


async def test_a_subscriber_that_goes_away_leaves_the_encoding_to_the_others():
    encoded = EncodedEvents()
    shared = joined(EventBatch([event(n) for n in range(100)], "p99"))
    gone = asyncio.create_task(responses(shared, encoded))  # noqa: TID251 - it is cancelled
    await turn()
    gone.cancel()
    (told,) = await responses(shared, encoded)
    assert [one.instance.id for one in told.events] == [f"i{n}" for n in range(100)]


async def test_what_exists_is_encoded_as_it_is_each_time():
    encoded = EncodedEvents()
    for number in (1, 2):
        existing = Event(
            type=EventType.EXISTING,
            instance=event(number).instance,
            event_time=datetime(2030, 1, 1, tzinfo=UTC),
            position="",
        )
        (told,) = await responses(EventBatch([existing], ""), encoded)
        assert told.events[0].instance.id == f"i{number}"
