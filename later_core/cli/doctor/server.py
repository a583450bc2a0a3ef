"""What the server says of itself and of the other nodes, judged."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from later_core.cli.times import spell
from later_core.client.tasks import TaskList
from later_core.model.finding import Finding, fail, ok, warn
from later_core.model.node import ListedNode, Node
from later_core.model.stats import Stats

#: Overdue instances that are counted one by one.
OVERDUE_MAX = 1_000
#: What is due longer than this waits for something.
OVERDUE_AFTER = timedelta(minutes=1)

_LATE = timedelta(seconds=1)
_CLOCK = timedelta(seconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What a server has answered, all at about one moment.

    ``overdue`` counts, up to ``OVERDUE_MAX``, what is PENDING and was due a while ago, of tasks that
    some node has.
    """

    address: str
    is_serving: bool
    stats: Stats
    tasks: TaskList
    nodes: Sequence[ListedNode]
    overdue: int


def judge(answers: Answers, *, version: str) -> Iterator[Finding]:
    """Every finding about the server and the nodes. ``version`` is that of this program."""
    yield _health(answers)
    yield _version(answers, version)
    yield from _nodes(answers)
    yield _clocks(answers)
    yield from _plugins(answers)
    yield from _tasks(answers)
    yield _overdue(answers)
    yield _lateness(answers)
    yield _database(answers)


def living(nodes: Sequence[ListedNode]) -> Sequence[Node]:
    """Those that live."""
    return [listed.status.node for listed in nodes if listed.status.is_alive]


def overdue_before(now: datetime) -> datetime:
    """What was due before this is overdue."""
    return now - OVERDUE_AFTER


def _health(answers: Answers) -> Finding:
    if not answers.is_serving:
        return fail(
            "server",
            f"{answers.address} answers, and says that it does not serve",
            "its log says why: the database is away, or it was drained",
        )
    return ok("server", f"{answers.address} serves, as node {answers.stats.node}")


def _version(answers: Answers, version: str) -> Finding:
    if answers.stats.version != version:
        return warn(
            "version",
            f"the server has {answers.stats.version}, this program is {version}",
            "upgrade the older one",
        )
    return ok("version", version)


def _nodes(answers: Answers) -> Iterator[Finding]:
    alive = living(answers.nodes)
    dead = [n.status.node.id for n in answers.nodes if not n.status.is_alive]
    if not alive:
        yield fail("nodes", "none lives in the eyes of the database", "start later serve")
    elif dead:
        yield warn(
            "nodes",
            f"{len(alive)} live; died within the last hour: {', '.join(dead)}",
            "look why in their logs, and start as many again; the others have taken over",
        )
    else:
        yield ok("nodes", f"{len(alive)} live")
    if leaving := [node.id for node in alive if node.is_draining]:
        yield warn(
            "nodes", f"drained or draining: {', '.join(leaving)}", "stop them, or start them anew"
        )
    versions = sorted({node.version for node in alive})
    if len(versions) > 1:
        yield warn(
            "nodes",
            f"they have different versions: {', '.join(versions)}",
            "end the upgrade: all the same version",
        )


def _clocks(answers: Answers) -> Finding:
    known = {n.id: n.clock_offset for n in living(answers.nodes) if n.clock_offset is not None}
    wrong = [
        f"{id} by {offset.total_seconds():+.3f} s"
        for id, offset in known.items()
        if abs(offset) > _CLOCK
    ]
    if wrong:
        return warn(
            "clocks",
            f"off the database's: {', '.join(wrong)}; starts are on time all the same",
            "let NTP set the clocks of these machines",
        )
    most = max(map(abs, known.values()), default=timedelta(0))
    return ok("clocks", f"those of all nodes within {most.total_seconds():.3f} s of the database's")


def _plugins(answers: Answers) -> Iterator[Finding]:
    for plugin in answers.tasks.rejected:
        yield warn(
            "plugins",
            f"{plugin.distribution} {plugin.version} is not used: {plugin.reason}",
            f"mend it, or pip uninstall {plugin.distribution}",
        )
    if not answers.tasks.tasks:
        yield warn("plugins", "no task is installed: nothing can run", "pip install a plugin")
    elif not answers.tasks.rejected:
        yield ok("plugins", f"{len(answers.tasks.tasks)} tasks installed")


def _tasks(answers: Answers) -> Iterator[Finding]:
    alive = living(answers.nodes)
    somewhere = {task for node in alive for task in node.tasks}
    unresolved = {
        task: count
        for task, count in sorted(answers.stats.counts.unresolved.items())
        if task not in somewhere
    }
    for task, count in unresolved.items():
        yield fail(
            "tasks",
            f"{count:,} PENDING instances of {task!r} wait: no node has that task",
            "install its plugin on a node and restart it; they run then",
        )
    everywhere = set.intersection(*(set(node.tasks) for node in alive)) if alive else set()
    if partly := sorted(somewhere - everywhere):
        yield warn(
            "tasks",
            f"not on every node: {', '.join(partly)}",
            "install the same plugins everywhere: a node without a task refuses its creates",
        )
    crashing = [task.name for task in answers.tasks.tasks if task.is_breaker_open]
    if crashing:
        yield warn(
            "tasks",
            f"left alone on the node that answered, since they crash again and again: {', '.join(crashing)}",
            "its log says what they crash with; instances wait, and one is tried now and then",
        )
    if not unresolved and not partly and not crashing:
        yield ok("tasks", "every node has each of them")


def _overdue(answers: Answers) -> Finding:
    if not answers.overdue:
        return ok("overdue", "nothing waits that was due more than a minute ago")
    more = " or more" if answers.overdue >= OVERDUE_MAX else ""
    return warn(
        "overdue",
        f"{answers.overdue:,}{more} instances were due more than a minute ago and have not started",
        "after a downtime they are caught up with, at catch_up_rate; else add a node, or raise max_running",
    )


def _lateness(answers: Answers) -> Finding:
    late = answers.stats.lateness
    if not late.count:
        return ok("lateness", "nothing has started on this node yet")
    found = f"99 of 100 of the last {late.count:,} starts within {spell(late.p99.total_seconds())}"
    if late.p99 > _LATE:
        return warn(
            "lateness",
            found,
            "the page on telemetry tells the causes apart; after a downtime it passes",
        )
    return ok("lateness", found)


def _database(answers: Answers) -> Finding:
    local = [node.id for node in living(answers.nodes) if node.has_local_database]
    if local:
        return warn(
            "kind of database",
            "embedded, or reached by a socket: no other machine can take over, and it lives and dies with"
            " its disk",
            "for production, set LATER_MONGODB_URI to a replica set of three",
        )
    return ok("kind of database", "a MongoDB that nodes on other machines can share")
