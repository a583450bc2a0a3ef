"""Who waits for a slot comes out in order of time, each once, and nothing grows without bound."""

from dataclasses import replace
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from later_core.local.lobby import Lobby
from later_core.model.concurrency import Concurrency, Gated


def gated(id, due_ms, *, key="k", deadline_ms=None):
    return Gated(
        id=id,
        task="t",
        due_ms=due_ms,
        concurrency=Concurrency(key=key, limit=1),
        start_deadline=None if deadline_ms is None else timedelta(milliseconds=deadline_ms),
    )


def ids(waiting):
    return [one.id for one in waiting]


OFFERS = st.lists(
    st.tuples(
        st.sampled_from(["offer", "offer", "offer", "discard", "first", "late"]),
        st.sampled_from("abcdef"),
        st.integers(0, 20),
        st.sampled_from("kl"),
        st.none() | st.integers(0, 20),
    ),
    max_size=60,
)


@given(OFFERS)
def test_it_answers_as_a_plain_list_would(steps):
    lobby, plain = Lobby(), {}
    for what, id, due_ms, key, deadline_ms in steps:
        key = key if id not in plain else plain[id].concurrency.key  # noqa: PLW2901 - a key never changes
        one = gated(id, due_ms, key=key, deadline_ms=deadline_ms)
        match what:
            case "offer":
                lobby.offer(one)
                if id not in plain or plain[id].due_ms != due_ms:
                    plain[id] = one
            case "discard":
                lobby.discard(id)
                plain.pop(id, None)
            case "late":
                late = [
                    one.id
                    for one in plain.values()
                    if one.start_deadline is not None
                    and one.due_ms + one.start_deadline / timedelta(milliseconds=1) < due_ms
                ]
                assert sorted(ids(lobby.take_late(due_ms, 100))) == sorted(late)
                for gone in late:
                    del plain[gone]
        assert len(lobby) == len(plain)
        for name in "kl":
            expected = sorted(
                (one.due_ms, one.id) for one in plain.values() if one.concurrency.key == name
            )
            assert [(one.due_ms, one.id) for one in lobby.first(("key", name), 100)] == expected
            assert ids(lobby.first(("key", name), 2)) == [id for _, id in expected[:2]]


def test_only_keys_for_which_somebody_waits_are_named():
    lobby = Lobby()
    lobby.offer(gated("a", 1, key="k"))
    lobby.offer(gated("b", 1, key="l"))
    lobby.discard("a")
    assert ids(lobby.first(("key", "k"), 1)) == []
    assert list(lobby.lines) == [("key", "l")]


def test_it_knows_whom_it_holds_and_when_they_are_due():
    lobby = Lobby()
    lobby.offer(gated("a", 1))
    assert lobby.holds(1, "a")
    assert not lobby.holds(2, "a")
    assert not lobby.holds(1, "b")


def test_what_finds_no_room_is_asked_for_once_half_of_it_has_gone():
    lobby = Lobby(capacity=4)
    assert all(lobby.offer(gated(str(n), n)) for n in range(4))
    assert not lobby.offer(gated("late", 0))
    assert not lobby.is_short()
    lobby.discard("0")
    assert not lobby.is_short()
    lobby.discard("1")
    assert lobby.is_short()
    assert not lobby.is_short()


def test_who_has_left_takes_no_memory_though_somebody_waits_in_front():
    lobby = Lobby()
    lobby.offer(gated("first", 0))
    for n in range(10_000):
        lobby.offer(gated(f"i{n}", n + 1, deadline_ms=1))
        lobby.discard(f"i{n}")
    assert len(lobby._by_line["key", "k"]) < 3_000
    assert len(lobby._by_deadline) < 3_000
    assert ids(lobby.first(("key", "k"), 10)) == ["first"]


def test_without_a_key_those_of_one_task_stand_in_line():
    lobby = Lobby()
    for id, task in [("b", "mail"), ("a", "mail"), ("c", "bash")]:
        lobby.offer(Gated(id=id, task=task, due_ms=1, concurrency=None))
    assert ids(lobby.first(("task", "mail"), 9)) == ["a", "b"]
    assert ids(lobby.first(("task", "bash"), 9)) == ["c"]


def test_of_one_line_the_highest_priority_comes_first():
    lobby = Lobby()
    for id, due_ms, priority in [("a", 1, 0), ("b", 3, 5), ("c", 2, 5), ("d", 4, 100)]:
        lobby.offer(replace(gated(id, due_ms), priority=priority))
    assert ids(lobby.first(("key", "k"), 9)) == ["d", "c", "b", "a"]
