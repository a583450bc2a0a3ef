"""What a server says of itself is judged: each thing that is wrong is named with its remedy."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from later_core.cli.doctor.server import OVERDUE_MAX, Answers, judge
from later_core.client.tasks import TaskInfo, TaskList
from later_core.model.finding import Finding, Verdict
from later_core.model.node import ListedNode, Node, NodeStatus
from later_core.model.query import Counts
from later_core.model.stats import Lateness, Stats
from later_core.ports.tasks import RejectedPlugin

NOW = datetime(2030, 1, 1, tzinfo=UTC)
ZERO = timedelta(0)


def a_node(id: str = "a", *, is_alive: bool = True, **fields) -> ListedNode:
    node = Node(
        id=id,
        address="10.0.0.1:9081",
        version="1.0",
        tasks=("echo",),
        started_at=NOW,
        clock_offset=timedelta(milliseconds=3),
    )
    return ListedNode(
        NodeStatus(node=replace(node, **fields), beat_time=NOW, is_alive=is_alive), 128
    )


ECHO = TaskInfo(name="echo", description="", distribution="later-plugin-echo", version="1")
STATS = Stats(
    counts=Counts(by_state={}, unresolved={}),
    node="a",
    version="1.0",
    started_at=NOW,
    window_size=0,
    running=0,
    subscribers=0,
    lateness=Lateness(count=0, p50=ZERO, p99=ZERO, max=ZERO),
    tasks=("echo",),
)
GOOD = Answers(
    address="10.0.0.1:9081",
    is_serving=True,
    stats=STATS,
    tasks=TaskList(tasks=[ECHO], rejected=[]),
    nodes=[a_node("a"), a_node("b")],
    overdue=0,
)


def wrong(**changes) -> list[Finding]:
    """What is not OK of these answers."""
    findings = list(judge(replace(GOOD, **changes), version="1.0"))
    found = [finding for finding in findings if finding.verdict is not Verdict.OK]
    assert all(finding.remedy for finding in found)
    return found


def the_one(**changes) -> Finding:
    (finding,) = wrong(**changes)
    return finding


def test_a_deployment_in_order_has_nothing_to_mend():
    assert wrong() == []


def test_a_server_that_does_not_serve_fails():
    assert the_one(is_serving=False).verdict is Verdict.FAIL


def test_a_server_of_another_version_is_noticed():
    finding = the_one(stats=replace(STATS, version="0.9"))
    assert (finding.check, finding.verdict) == ("version", Verdict.WARN)


def test_dead_and_leaving_nodes_are_named():
    finding = the_one(nodes=[a_node("a"), a_node("gone", is_alive=False)])
    assert (finding.check, finding.verdict) == ("nodes", Verdict.WARN)
    assert "gone" in finding.found
    assert "leaver" in the_one(nodes=[a_node("a"), a_node("leaver", is_draining=True)]).found


def test_that_no_node_lives_is_a_failure():
    findings = wrong(nodes=[a_node("gone", is_alive=False)])
    assert findings[0].verdict is Verdict.FAIL


def test_nodes_of_different_versions_are_noticed():
    assert "0.9, 1.0" in the_one(nodes=[a_node("a"), a_node("b", version="0.9")]).found


def test_a_clock_that_is_off_is_named_with_its_node_and_sign():
    finding = the_one(nodes=[a_node("a"), a_node("b", clock_offset=timedelta(seconds=-4))])
    assert (finding.check, finding.verdict) == ("clocks", Verdict.WARN)
    assert "b by -4.000 s" in finding.found


def test_a_node_that_says_nothing_of_its_clock_is_no_fault():
    assert wrong(nodes=[a_node("a", clock_offset=None)]) == []


def test_a_plugin_in_quarantine_is_named_with_the_reason():
    plugin = RejectedPlugin(name="x", distribution="plugin-x", version="2", reason="it is broken")
    finding = the_one(tasks=TaskList(tasks=[ECHO], rejected=[plugin]))
    assert "it is broken" in finding.found
    assert "pip uninstall plugin-x" in finding.remedy


def test_a_task_that_is_left_alone_is_noticed():
    crashing = replace(ECHO, name="crashing", is_breaker_open=True)
    finding = the_one(tasks=TaskList(tasks=[ECHO, crashing], rejected=[]))
    assert (finding.check, finding.verdict) == ("tasks", Verdict.WARN)
    assert "crashing" in finding.found
    assert "echo" not in finding.found


def test_a_server_without_any_task_is_noticed():
    assert the_one(tasks=TaskList(tasks=[], rejected=[])).check == "plugins"


def test_instances_of_a_task_that_no_node_has_are_a_failure():
    counts = Counts(by_state={}, unresolved={"gone": 1_200, "elsewhere": 3})
    findings = wrong(
        stats=replace(STATS, counts=counts),
        nodes=[a_node("a"), a_node("b", tasks=("echo", "elsewhere"))],
    )
    assert [(f.check, f.verdict) for f in findings] == [
        ("tasks", Verdict.FAIL),
        ("tasks", Verdict.WARN),
    ]
    assert "1,200" in findings[0].found
    assert "'gone'" in findings[0].found
    assert "elsewhere" in findings[1].found


def test_what_is_overdue_is_counted_as_far_as_it_was():
    assert the_one(overdue=7).found.startswith("7 instances")
    assert the_one(overdue=OVERDUE_MAX).found.startswith("1,000 or more")


def test_late_starts_are_noticed():
    late = Lateness(count=10, p50=ZERO, p99=timedelta(seconds=3), max=timedelta(seconds=4))
    assert the_one(stats=replace(STATS, lateness=late)).check == "lateness"
    soon = replace(late, p99=timedelta(milliseconds=3))
    assert wrong(stats=replace(STATS, lateness=soon)) == []


def test_a_database_that_no_other_machine_can_share_is_noticed():
    finding = the_one(nodes=[a_node("a", has_local_database=True)])
    assert (finding.check, finding.verdict) == ("kind of database", Verdict.WARN)
    assert "LATER_MONGODB_URI" in finding.remedy
