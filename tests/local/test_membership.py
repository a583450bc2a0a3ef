"""Sharing: every bucket has one owner among those that can run its task, and few of them move."""

from dataclasses import replace
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from later_core.local.membership import Membership, buckets_by_node, owner_of
from later_core.model.bucket import BUCKETS, bucket_of
from later_core.model.node import NodeStatus
from later_core.testing.builders import a_node

THEN = datetime(2030, 1, 1, tzinfo=UTC)
names = st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=8, unique=True)


def statuses(*nodes):
    return [NodeStatus(node=node, beat_time=THEN) for node in nodes]


def member(own, *nodes):
    me = next(node for node in nodes if node.id == own)
    membership = Membership(tasks=me.tasks)
    membership.update(own, statuses(*nodes))
    return membership


@given(names)
def test_every_bucket_has_one_owner_and_all_nodes_agree(ids):
    nodes = [a_node(id) for id in ids]
    members = [member(id, *nodes) for id in ids]
    for number in range(200):
        owners = [m for m in members if m.owns("echo", f"i{number}")]
        assert len(owners) == 1


@given(names)
def test_when_a_node_goes_only_its_own_buckets_move(ids):
    before = {bucket: owner_of(bucket, ids) for bucket in range(BUCKETS)}
    rest = ids[1:]
    if rest:
        after = {bucket: owner_of(bucket, rest) for bucket in range(BUCKETS)}
        assert all(after[b] == before[b] for b in range(BUCKETS) if before[b] != ids[0])


def test_the_load_is_shared_about_evenly():
    ids = [f"node-{n}" for n in range(4)]
    counts = [sum(owner_of(b, ids) == id for b in range(BUCKETS)) for id in ids]
    assert min(counts) > BUCKETS / 4 / 2


def test_a_task_is_shared_among_those_that_have_it():
    both, one = a_node("both", tasks=("echo", "rare")), a_node("one", tasks=("echo",))
    mine = member("both", both, one)
    assert all(mine.owns("rare", f"i{n}") for n in range(50))
    assert not all(mine.owns("echo", f"i{n}") for n in range(50))
    theirs = member("one", both, one)
    assert not any(theirs.owns("rare", f"i{n}") for n in range(50))
    assert {share.tasks: share.buckets is None for share in mine.shares} == {
        ("echo",): False,
        ("rare",): True,
    }


def test_the_dead_and_the_draining_have_no_share():
    me, other = a_node("me"), a_node("other")
    membership = Membership(tasks=me.tasks)
    assert membership.is_alone
    assert membership.update("me", statuses(me, other))
    assert not membership.is_alone
    draining = NodeStatus(node=replace(other, is_draining=True), beat_time=THEN)
    assert membership.update("me", [*statuses(me), draining])
    assert not membership.is_shared
    assert not membership.is_alone, "it still hands work back"
    assert all(membership.owns("echo", f"i{n}") for n in range(50))
    dead = NodeStatus(node=other, beat_time=THEN, is_alive=False)
    assert membership.update("me", [*statuses(me), dead])
    assert membership.is_alone


def test_an_unchanged_membership_says_so():
    me, other = a_node("me"), a_node("other")
    membership = member("me", me, other)
    assert not membership.update("me", statuses(other, replace(me, running=5)))


@given(names)
def test_every_bucket_is_counted_once(ids):
    counted = buckets_by_node(tuple(ids))
    assert sum(counted.values()) == BUCKETS
    assert counted.keys() <= set(ids)


def test_without_nodes_nobody_has_a_bucket():
    assert buckets_by_node(()) == {}


def test_a_neighbour_that_drains_is_leaving():
    me, other = a_node("me"), a_node("other")
    membership = member("me", me, other)
    assert not membership.is_anyone_leaving
    membership.update("me", statuses(me, replace(other, is_draining=True)))
    assert membership.is_anyone_leaving


@given(names)
def test_every_schedule_is_planned_by_one_node_that_has_its_task_if_any_has(ids):
    nodes = [
        a_node(id, tasks=("echo", "rare") if n == 0 else ("echo",)) for n, id in enumerate(ids)
    ]
    members = [member(id, *nodes) for id in ids]
    for number in range(50):
        for task in ("echo", "rare", "missing"):
            planners = [m for m in members if m.plans(task, f"s{number}")]
            assert len(planners) == 1
            assert task != "rare" or planners == [members[0]]


@given(names)
def test_the_buckets_of_a_planner_hold_every_schedule_that_it_plans(ids):
    nodes = [
        a_node(id, tasks=("echo", "rare") if n == 0 else ("echo",)) for n, id in enumerate(ids)
    ]
    for mine in (member(id, *nodes) for id in ids):
        buckets = mine.planning_buckets
        for number in range(50):
            if any(mine.plans(task, f"s{number}") for task in ("echo", "rare", "missing")):
                assert buckets is None or bucket_of(f"s{number}") in buckets
