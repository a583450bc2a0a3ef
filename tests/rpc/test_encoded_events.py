"""Watch responses: encoded once for all, and what every gRPC client can receive and resume behind."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from later_core.model.event import Event, EventBatch, EventType
from later_core.model.instance import Instance
from later_core.model.limits import RESPONSE_MAX_BYTES
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


def responses(
    batch: EventBatch, encoded: EncodedEvents | None = None
) -> list[pb.WatchInstancesResponse]:
    """As a client parses them."""
    encoded = encoded or EncodedEvents()
    return [pb.WatchInstancesResponse.FromString(data) for data in encoded.responses(batch)]


def test_a_batch_of_events_comes_back_as_it_went():
    batch = EventBatch([event(1)], "p1")
    (response,) = responses(batch)
    assert from_response(response) == batch


def test_a_bookmark_is_a_response_without_events():
    (response,) = responses(EventBatch([], "p7"))
    assert response == pb.WatchInstancesResponse(resume_token="p7")


def test_a_resync_has_no_instance():
    resync = Event(
        type=EventType.RESYNC,
        instance=None,
        event_time=datetime(2030, 1, 1, tzinfo=UTC),
        position="p1",
    )
    (response,) = responses(EventBatch([resync], "p1"))
    assert response.events[0].type == pb.EVENT_TYPE_RESYNC
    assert not response.events[0].HasField("instance")
    assert from_response(response).events == [resync]


def test_a_batch_is_split_so_that_each_response_can_be_received_and_resumed_behind():
    events = [event(n, size=RESPONSE_MAX_BYTES // 3) for n in range(1, 8)]
    events.append(event(8, size=RESPONSE_MAX_BYTES + 1))
    told = responses(EventBatch(events, "p9"))
    ids = [[e.instance.id for e in response.events] for response in told]
    assert ids == [["i1", "i2"], ["i3", "i4"], ["i5", "i6"], ["i7"], ["i8"]]
    assert [r.resume_token for r in told] == ["p2", "p4", "p6", "p7", "p9"]
    assert all(r.ByteSize() < 4 * 1024 * 1024 for r in told)


def test_what_exists_is_told_without_a_token():
    events = [event(n, size=RESPONSE_MAX_BYTES // 2, type=EventType.EXISTING) for n in (1, 2, 3)]
    told = responses(EventBatch(events, ""))
    assert len(told) > 1
    assert {response.resume_token for response in told} == {""}


@given(st.lists(st.integers(1, 5), max_size=20), st.integers(0, 2_000))
def test_joined_parts_are_the_message_itself_however_much_is_remembered(
    numbers: list[int], remembered_bytes: int
):
    encoded = EncodedEvents(remembered_bytes=remembered_bytes)
    events = [event(number, size=100) for number in numbers]
    whole = pb.WatchInstancesResponse(events=map(to_event, events), resume_token="p9")
    for _ in range(2):
        assert responses(EventBatch(events, "p9"), encoded) == [whole]


def test_what_several_are_told_is_encoded_once(monkeypatch):
    counted: list[Event] = []
    fill = encoded_events.fill_event

    def counting(message: pb.InstanceEvent, event: Event) -> None:
        counted.append(event)
        fill(message, event)

    monkeypatch.setattr(encoded_events, "fill_event", counting)
    encoded = EncodedEvents()
    one, two = event(1), event(2)
    responses(EventBatch([one, two], "p2"), encoded)
    responses(EventBatch([one], "p1"), encoded)
    responses(EventBatch([two], "p2"), encoded)
    assert counted == [one, two]


def test_what_exists_is_encoded_as_it_is_each_time():
    encoded = EncodedEvents()
    for number in (1, 2):
        existing = Event(
            type=EventType.EXISTING,
            instance=event(number).instance,
            event_time=datetime(2030, 1, 1, tzinfo=UTC),
            position="",
        )
        (told,) = responses(EventBatch([existing], ""), encoded)
        assert told.events[0].instance.id == f"i{number}"
