"""The window: each pending instance once, in order of time, the backlog apart, both bounded."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from later_core.local.window import Window
from later_core.model.query import DueEntry

NOW = 1_000_000

IDS = [f"i{n}" for n in range(6)] + [f"{n:032x}" for n in range(6)]
ids = st.sampled_from(IDS)
#: Now, and seconds ahead: what is later is kept in another way.
dues = st.one_of(
    st.integers(min_value=NOW - 1_000, max_value=NOW + 1_000),
    st.integers(min_value=NOW - 1_000, max_value=NOW + 10_000),
)
#: An id keeps the priority that it was created with.
PRIORITIES = {id: (0, 0, 1, 100)[n % 4] for n, id in enumerate(IDS)}
steps = st.lists(
    st.one_of(
        st.tuples(st.just("offer"), ids, dues),
        st.tuples(st.just("offer unknown"), ids, dues),
        st.tuples(st.just("discard"), ids, st.just(0)),
        st.tuples(st.just("pop"), st.just(""), dues),
        st.tuples(st.just("pop ahead"), st.just(""), dues),
    ),
    max_size=80,
)


@given(steps)
def test_it_behaves_as_a_table_of_ids_to_times(taken):
    window, model = Window(), {}
    for what, id, due in taken:
        if what.startswith("offer"):
            assert window.offer(due, id, now_ms=NOW)
            model[id] = due
        elif what == "discard":
            window.discard(id)
            model.pop(id, None)
        else:
            popped = window.pop_due(due, 5)
            expected = sorted((d, i) for i, d in model.items() if d <= due)[:5]
            assert [d for d, _ in popped] == [d for d, _ in expected]
            for due_ms, popped_id in popped:
                assert model.pop(popped_id) == due_ms
        assert len(window) == len(model)
        assert window.next_due() == (min(model.values()) if model else None)


@given(
    steps,
    st.lists(st.tuples(dues, ids), max_size=20),
    st.integers(min_value=1, max_value=12),
    st.integers(min_value=NOW - 500, max_value=NOW + 11_000),
)
def test_a_page_is_taken_in_as_its_entries_one_by_one(before, page, capacity, horizon):
    page = [DueEntry(*entry) for entry in sorted(page)]
    each, whole = (Window(capacity=capacity, backlog_capacity=2) for _ in range(2))
    for window in (each, whole):
        window.horizon_ms = horizon
        for what, id, due in before:
            if what == "offer":
                window.offer(due - 6_000, id, now_ms=NOW, priority=PRIORITIES[id])
            elif what == "offer unknown":
                window.offer(due, id, now_ms=NOW)
            elif what == "discard":
                window.discard(id)
    taken = 0
    for due, id, _ in page:
        if not each.covers(due):
            break
        taken += each.offer(due, id, now_ms=NOW)
    with whole.touching() as touched:
        assert whole.offer_all(page, now_ms=NOW) == taken
    assert not touched
    assert whole.horizon_ms == each.horizon_ms
    assert whole.changed.is_set() == each.changed.is_set()
    assert len(whole) == len(each)
    assert whole.next_due() == each.next_due()
    assert whole.pop_backlog(20) == each.pop_backlog(20)
    assert whole.pop_due(NOW + 20_000, 20) == each.pop_due(NOW + 20_000, 20)


@given(steps)
def test_of_what_is_due_the_highest_priority_comes_first(taken):
    window, model = Window(), {}
    for what, id, due in taken:
        if what == "offer":
            assert window.offer(due, id, now_ms=NOW, priority=PRIORITIES[id])
            model[id] = (-PRIORITIES[id], due)
        elif what == "offer unknown":
            # Read in a place that does not tell: what is known stays.
            assert window.offer(due, id, now_ms=NOW)
            model[id] = (model.get(id, (0, 0))[0], due)
        elif what == "discard":
            window.discard(id)
            model.pop(id, None)
        elif what == "pop ahead":
            popped = window.pop_ahead(due, 5)
            expected = sorted((at, rank) for rank, at in model.values() if at <= due)[:5]
            assert [(at, model.pop(popped_id)[0]) for at, popped_id in popped] == expected
        else:
            popped = window.pop_due(due, 5)
            expected = sorted(place for place in model.values() if place[1] <= due)[:5]
            assert [(model.pop(popped_id)[0], at) for at, popped_id in popped] == expected
        assert len(window) == len(model)
        assert window.next_due() == (min(at for _, at in model.values()) if model else None)


def test_the_backlog_gives_the_highest_priority_first_and_after_what_is_due_now():
    window = Window()
    for n, priority in enumerate([0, 100, 0, 7, 100]):
        window.offer(NOW - 60_000 + n, f"i{n}", now_ms=NOW, priority=priority)
    window.offer(NOW, "now", now_ms=NOW)
    assert window.pop_due(NOW, 10) == [(NOW, "now")]
    assert [id for _, id in window.pop_backlog(10)] == ["i1", "i4", "i3", "i0", "i2"]


def test_a_backlog_that_is_full_has_room_for_what_has_a_priority():
    window = Window(backlog_capacity=2)
    for n in range(3):
        assert window.offer(NOW - 60_000, f"i{n}", now_ms=NOW) == (n < 2)
    for n in range(3):
        is_taken = window.offer(NOW - 60_000, f"r{n}", now_ms=NOW, priority=1)
        assert is_taken == (n < 2)
    assert window.backlog_room() == window.backlog_room(raised=True) == 0
    assert not window.wants_more.is_set()
    assert [id for _, id in window.pop_backlog(1)] == ["r0"]
    # The rest of those with a priority is asked for although the others still wait.
    assert window.wants_more.is_set()


def test_what_is_put_back_keeps_its_priority():
    window = Window()
    window.offer(NOW, "low", now_ms=NOW)
    window.offer(NOW + 1, "high", now_ms=NOW, priority=1)
    taken = window.pop_due(NOW + 1, 10)
    assert [id for _, id in taken] == ["high", "low"]
    window.put_back(taken, now_ms=NOW)
    assert window.pop_due(NOW + 1, 10) == taken


def test_a_full_window_lets_the_latest_go_whatever_their_priority():
    window = Window(capacity=16)
    window.horizon_ms = NOW + 100_000
    for n in range(16):
        assert window.offer(NOW + 10 * n, f"i{n:02}", now_ms=NOW, priority=n % 3)
    assert window.offer(NOW, "now", now_ms=NOW)
    assert {window.due_of("i14"), window.due_of("i15")} == {None}
    assert window.due_of("i13") == NOW + 130
    assert window.horizon_ms == NOW + 139


def test_what_is_long_due_waits_behind_what_is_due_now():
    window = Window()
    window.offer(NOW - 60_000, "old", now_ms=NOW)
    window.offer(NOW, "now", now_ms=NOW)
    assert window.pop_due(NOW, 10) == [(NOW, "now")]
    assert window.has_backlog()
    assert window.pop_backlog(10) == [(NOW - 60_000, "old")]
    assert len(window) == 0


def test_an_earlier_offer_wakes_a_later_one_does_not():
    window = Window()
    window.offer(NOW + 10, "later", now_ms=NOW)
    window.changed.clear()
    window.offer(NOW + 20, "still later", now_ms=NOW)
    assert not window.changed.is_set()
    window.offer(NOW + 5, "sooner", now_ms=NOW)
    assert window.changed.is_set()


def test_a_full_window_refuses_lowers_its_horizon_and_asks_again_once_there_is_room():
    window = Window(capacity=4)
    window.horizon_ms = NOW + 1_000
    assert all(window.offer(NOW + n, f"i{n}", now_ms=NOW) for n in range(4))
    assert not window.offer(NOW + 50, "too many", now_ms=NOW)
    assert not window.covers(NOW + 50)
    assert window.covers(NOW + 49)
    assert not window.wants_more.is_set()
    window.pop_due(NOW + 1, 10)
    assert window.wants_more.is_set()


def test_a_full_backlog_refuses_without_touching_what_is_due_now():
    window = Window(backlog_capacity=2)
    window.horizon_ms = NOW
    assert [window.offer(n, f"i{n}", now_ms=NOW) for n in range(3)] == [True, True, False]
    assert window.horizon_ms == NOW
    assert window.backlog_room() == 0
    window.pop_backlog(1)
    assert window.wants_more.is_set()


def test_entries_that_could_not_be_claimed_come_back():
    window = Window()
    window.offer(NOW, "a", now_ms=NOW)
    entries = window.pop_due(NOW, 10)
    window.put_back(entries, now_ms=NOW)
    assert window.pop_due(NOW, 10) == entries


def test_what_is_taken_out_and_offered_anew_is_not_put_back_under_its_old_time():
    window = Window()
    window.offer(NOW, "a", now_ms=NOW)
    entries = window.pop_due(NOW, 10)
    window.offer(NOW + 500, "a", now_ms=NOW)
    window.put_back(entries, now_ms=NOW)
    assert window.next_due() == NOW + 500


def test_a_full_window_lets_the_latest_go_for_what_is_due_sooner():
    window = Window(capacity=16)
    window.horizon_ms = NOW + 1_000
    for n in range(16):
        assert window.offer(NOW + 100 + n, f"i{n}", now_ms=NOW)
    assert window.offer(NOW, "now", now_ms=NOW)
    assert window.next_due() == NOW
    assert len(window) <= 16
    # Those that went are behind the horizon, and a pull finds them when there is room.
    held = {id for _, id in window.pop_due(NOW + 1_000, 100)}
    assert {f"i{n}" for n in range(16) if window.covers(NOW + 100 + n)} <= held
    assert window.wants_more.is_set()


def test_a_backlog_is_asked_for_only_once_there_is_room_for_it():
    window = Window(backlog_capacity=4)
    for n in range(5):
        window.offer(n, f"i{n}", now_ms=NOW)
    window.pop_due(NOW, 10)
    assert not window.wants_more.is_set()
    window.pop_backlog(1)
    assert not window.wants_more.is_set()
    window.pop_backlog(1)
    assert window.wants_more.is_set()


@pytest.mark.parametrize("priority", [0, 3])
def test_what_is_moved_or_discarded_again_and_again_takes_no_memory(priority):
    window = Window()
    for n in range(20_000):
        window.offer(NOW + n, "moved", now_ms=NOW, priority=priority)
        window.offer(NOW + n, f"i{n}", now_ms=NOW, priority=priority)
        window.discard(f"i{n}")
    assert window._near.size < 5_000  # what it holds on to cannot be seen from outside
    assert window.next_due() == NOW + 19_999


def test_what_was_said_during_a_read_is_known():
    window = Window()
    window.offer(NOW, "before", now_ms=NOW)
    with window.touching() as touched:
        window.offer(NOW, "offered", now_ms=NOW)
        window.discard("discarded")
    window.offer(NOW, "after", now_ms=NOW)
    assert touched == {"offered", "discarded"}
