"""What the board knows, told by pages and events in whatever order they come."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from later_core.cli.top import board as module
from later_core.cli.top.board import KEPT, Board
from later_core.cli.top.punctuality import STEPS, Punctuality
from later_core.model.event import Event, EventBatch, EventType
from later_core.model.instance import Instance
from later_core.model.query import Filter
from later_core.model.state import State

NOW = datetime(2030, 1, 31, 9, 0, tzinfo=UTC)
COURSE = (State.PENDING, State.RUNNING, State.FAILED, State.PENDING, State.RUNNING, State.SUCCEEDED)


def instance(id: str = "a", state: State = State.PENDING, seconds: int = 0, **fields) -> Instance:
    return Instance(
        **{
            "id": id,
            "task": "echo",
            "execution_time": NOW + timedelta(seconds=seconds),
            "create_time": NOW,
            "state": state,
            **fields,
        }
    )


def events(*instances: Instance | None) -> EventBatch:
    return EventBatch(
        [
            Event(
                type=EventType.UPDATED if each else EventType.RESYNC,
                instance=each,
                event_time=NOW,
                position=f"{place}",
            )
            for place, each in enumerate(instances)
        ],
        "",
    )


def ids(instances: Sequence[Instance]) -> list[str]:
    return [each.id for each in instances]


def test_each_list_is_in_the_order_in_which_people_look_at_it():
    board = Board()
    board.apply(
        events(
            instance("late", seconds=9),
            instance("soon", seconds=1),
            instance("young", State.RUNNING, start_time=NOW),
            instance("old", State.RUNNING, start_time=NOW - timedelta(hours=1)),
            instance("first", State.FAILED, finish_time=NOW - timedelta(hours=1)),
            instance("last", State.FAILED, finish_time=NOW),
            instance("fine", State.SUCCEEDED),
        )
    )
    assert ids(board.due_next) == ["soon", "late"]
    assert ids(board.running) == ["old", "young"]
    assert ids(board.failed) == ["last", "first"]


def test_a_page_that_is_older_than_an_event_brings_nothing_back():
    board = Board()
    before = instance("a", State.RUNNING, revision=2)
    board.apply(events(before, replace(before, state=State.SUCCEEDED, revision=3)))
    board.read(State.RUNNING, [before])
    assert board.running == []


def test_what_a_page_leaves_out_is_no_more():
    board = Board()
    board.read(State.PENDING, [instance("a"), instance("b")])
    board.read(State.RUNNING, [instance("c", State.RUNNING)])
    board.read(State.PENDING, [instance("b")])
    assert ids(board.due_next) == ["b"]
    assert ids(board.running) == ["c"]


def test_what_does_not_meet_the_conditions_any_more_leaves():
    board = Board(Filter(end_time=NOW + timedelta(minutes=1)))
    board.apply(events(instance("a")))
    board.apply(events(instance("a", seconds=3600, revision=2)))
    assert board.due_next == []


def test_a_resync_asks_for_everything_to_be_read_anew():
    board = Board()
    assert not board.apply(events(instance("a")))
    assert board.apply(events(instance("b"), None))
    assert ids(board.due_next) == ["a", "b"]


def test_of_a_million_the_first_alone_are_held():
    board = Board()
    for start in range(0, 3 * KEPT, 50):
        board.apply(events(*(instance(f"{n:05}", seconds=n) for n in range(start, start + 50))))
    assert ids(board.due_next) == [f"{n:05}" for n in range(KEPT)]
    board.apply(events(*(instance(f"{n:05}", State.ABORTED, revision=2) for n in range(KEPT))))
    assert board.due_next == []


def test_what_has_gone_is_remembered_within_bounds(monkeypatch):
    monkeypatch.setattr(module, "_GONE", 3)
    board = Board()
    board.apply(events(*(instance(f"{n}", State.ABORTED, revision=2) for n in range(5))))
    board.read(State.PENDING, [instance(f"{n}") for n in range(5)])
    assert ids(board.due_next) == ["0", "1"]


def test_the_instance_that_is_looked_at_follows_its_own_events_alone():
    board = Board()
    board.inspect(instance("a"), is_new=True)
    board.apply(events(instance("b", revision=9), instance("a", State.ABORTED, revision=2)))
    board.inspect(instance("a"))
    assert board.inspected == instance("a", State.ABORTED, revision=2)


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(1, len(COURSE))), max_size=40))
def test_whatever_the_order_the_highest_revision_told_holds(told):
    board = Board()
    newest: dict[str, int] = {}
    for id, revision in told:
        board.apply(events(instance(id, COURSE[revision - 1], revision=revision)))
        newest[id] = max(revision, newest.get(id, 0))
    lists = {
        State.PENDING: board.due_next,
        State.RUNNING: board.running,
        State.FAILED: board.failed,
    }
    for state, shown in lists.items():
        wanted = {id for id, revision in newest.items() if COURSE[revision - 1] is state}
        assert set(ids(shown)) == wanted


def test_an_attempt_counts_once_however_often_it_is_told_of():
    punctuality = Punctuality()
    ran = instance("a", State.RUNNING, attempt=1, start_time=NOW + timedelta(milliseconds=3))
    punctuality.note(ran)
    punctuality.note(replace(ran, state=State.SUCCEEDED, revision=2))
    assert punctuality.starts == 1
    assert punctuality.line(NOW)[-1] == 3.0
    assert sum(punctuality.line(NOW)[:-1]) == 0


def test_what_has_not_begun_or_waits_for_a_retry_is_no_start():
    punctuality = Punctuality()
    punctuality.note(instance("a", State.RUNNING, attempt=1))
    punctuality.note(instance("b", attempt=1, seconds=60, start_time=NOW))
    assert punctuality.starts == 0


@given(st.lists(st.integers(0, 20_000_000), max_size=50))
def test_every_start_is_in_the_step_that_bounds_it(microseconds):
    punctuality = Punctuality()
    lates = [timedelta(microseconds=each) for each in microseconds]
    for number, late in enumerate(lates):
        punctuality.note(instance(f"{number}", State.RUNNING, attempt=1, start_time=NOW + late))
    below = 0
    for step, count in zip(STEPS, punctuality.histogram, strict=False):
        below += count
        assert below == sum(late <= step for late in lates)
    assert sum(punctuality.histogram) == len(lates)
