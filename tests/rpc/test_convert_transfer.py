"""Whatever stands in an import: it becomes a value that can be stored, or a wrong field is named."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import bson
import pytest
from google.protobuf.message import DecodeError
from hypothesis import given, settings
from hypothesis import strategies as st

from later_core.errors import InvalidRequest
from later_core.model.concurrency import Concurrency
from later_core.model.instance import Instance, InstanceError, NewInstance
from later_core.model.recurrence.rules import CronRule, ExcludedDates, IntervalRule
from later_core.model.retry import RetryPolicy
from later_core.model.schedule import Progress, ScheduleSpec
from later_core.model.state import State
from later_core.model.transfer import after_loss
from later_core.rpc.convert import to_instance
from later_core.rpc.convert_transfer import (
    from_exported_instance,
    from_exported_schedule,
    to_exported_schedule,
)
from later_core.rpc.v1 import later_pb2 as pb
from later_core.stores.mongo.documents import to_document
from later_core.stores.mongo.documents import to_instance as of_document
from later_core.stores.mongo.schedule_documents import to_schedule_document
from later_core.testing.builders import a_schedule, an_attempt, an_instance

NOW = datetime(2030, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
TRACE_PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
EARLIER = an_attempt(2, end_time=NOW, error=InstanceError(reason="BROKEN", message="it broke"))
INSTANCE = an_instance(
    execution_time=NOW,
    priority=7,
    concurrency=Concurrency(key="report", limit=2),
    trace_parent=TRACE_PARENT,
    attempts=(
        EARLIER,
        an_attempt(3, start_time=NOW, end_time=NOW, error=EARLIER.error),
    ),
    parameters=b"p",
    state=State.FAILED,
    attempt=3,
    uncounted_attempts=1,
    revision=9,
    retry=RetryPolicy(max_attempts=3, min_backoff=HOUR, max_backoff=2 * HOUR, multiplier=1.5),
    timeout=HOUR,
    start_deadline=HOUR,
    labels={"a": "b"},
    schedule_id="nightly",
    node="node-a",
    start_time=NOW,
    finish_time=NOW,
    error=InstanceError(reason="BROKEN", message="it broke"),
)
SCHEDULE = a_schedule(
    now=NOW,
    spec=ScheduleSpec(
        template=NewInstance(task="echo", labels={"a": "b"}, timeout=HOUR),
        rules=(CronRule(expression="0 3 * * *"), IntervalRule(every=HOUR)),
        exclusions=(ExcludedDates(dates=(NOW.date(),), time_zone="UTC"),),
        jitter=HOUR,
        catchup_window=HOUR,
    ),
    progress=Progress(
        planned_until=NOW,
        next_time=NOW,
        starting=(NOW,),
        waiting=(NOW,),
        aborting=("one",),
        watched_from=NOW,
        step=7,
    ),
    fingerprint=b"\x00f",
)


def exported(instance: Instance) -> pb.ExportedInstance:
    return pb.ExportedInstance(instance=to_instance(instance), fingerprint=instance.fingerprint)


def test_what_was_exported_is_what_it_was() -> None:
    assert from_exported_instance(exported(INSTANCE)) == INSTANCE
    assert from_exported_schedule(to_exported_schedule(SCHEDULE)) == SCHEDULE


@pytest.mark.parametrize(
    "change",
    [
        {"priority": 101},
        {"priority": -1},
        {"concurrency": Concurrency(key="", limit=2)},
        {"concurrency": Concurrency(key="report", limit=0)},
        {"trace_parent": "x" * 2_000},
        {"attempts": [EARLIER] * 11},
        {"attempts": [replace(EARLIER, node="n" * 2_000)]},
        {"attempts": [replace(EARLIER, error=replace(EARLIER.error, message="x" * 513))]},
    ],
    ids=str,
)
def test_what_there_could_never_be_is_refused(change) -> None:
    with pytest.raises(InvalidRequest):
        from_exported_instance(exported(replace(INSTANCE, **change)))


def spoiled(data: bytes) -> st.SearchStrategy[bytes]:
    """These bytes with a few of them changed."""
    changes = st.lists(
        st.tuples(st.integers(0, len(data) - 1), st.integers(0, 255)), min_size=1, max_size=4
    )

    def spoil(places: list[tuple[int, int]]) -> bytes:
        spoilt = bytearray(data)
        for place, value in places:
            spoilt[place] = value
        return bytes(spoilt)

    return changes.map(spoil)


@settings(max_examples=500)
@given(spoiled(exported(INSTANCE).SerializeToString()))
def test_a_spoilt_instance_can_be_stored_or_is_refused(data: bytes) -> None:
    try:
        instance = from_exported_instance(pb.ExportedInstance.FromString(data))
    except (DecodeError, InvalidRequest):
        return
    stored = bson.decode(bson.encode(to_document(after_loss(instance, at=NOW))))
    assert of_document(stored).id == instance.id


@settings(max_examples=300)
@given(spoiled(to_exported_schedule(SCHEDULE).SerializeToString()))
def test_a_spoilt_schedule_can_be_stored_or_is_refused(data: bytes) -> None:
    try:
        schedule = from_exported_schedule(pb.ExportedSchedule.FromString(data))
    except (DecodeError, InvalidRequest):
        return
    assert bson.encode(to_schedule_document(schedule))
