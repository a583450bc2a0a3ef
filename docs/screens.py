"""Draw the screens of ``later top`` that the page about it shows, always from the same figures.

``tox -e screens`` writes docs/top/*.svg; a test compares them with what is drawn today.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from later_core.cli.top.app import TopApp
from later_core.cli.top.board import Board, Listing
from later_core.client.client import Client
from later_core.client.tasks import TaskInfo, TaskList
from later_core.model.event import Event, EventBatch, EventType
from later_core.model.instance import Instance, InstanceError, NewInstance
from later_core.model.node import ListedNode, Node, NodeStatus
from later_core.model.query import Counts
from later_core.model.rate import RateLimit
from later_core.model.recurrence.rules import CronRule, IntervalRule
from later_core.model.schedule import ListedSchedule, Progress, Schedule, ScheduleSpec
from later_core.model.state import State
from later_core.model.stats import Lateness, Stats
from later_core.ports.tasks import RejectedPlugin
from later_core.testing.clock import FakeClock

DIRECTORY = Path(__file__).parent / "top"
SIZE = (120, 34)
NOW = datetime(2030, 1, 31, 9, 0, tzinfo=UTC)
#: The keys that lead to each screen, from the first.
KEYS = {
    "overview": (),
    "instances": ("2",),
    "instance": ("2", "enter"),
    "abort": ("2", "a"),
    "schedules": ("3",),
    "nodes": ("4",),
    "tasks": ("5",),
}
#: Rich's frame fetches its fonts from elsewhere; a page of ours fetches nothing.
_FONT_FACE = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)


def seconds(count: float) -> timedelta:
    return timedelta(seconds=count)


def instance(id: str, state: State, due: float, task: str = "bash", **fields: object) -> Instance:
    return Instance(
        **{
            "id": id,
            "task": task,
            "execution_time": NOW + seconds(due),
            "create_time": NOW - seconds(7200),
            "state": state,
            **fields,
        }
    )


def instances() -> Iterator[Instance]:
    """Some of each state; the running ones began a little late."""
    for number in range(6):
        yield instance(f"report-{number}", State.PENDING, 5 + 40 * number, "http")
    for number in range(3):
        began = NOW + seconds(-30 * number - 3 + 0.0012 * (number + 1))
        yield instance(
            f"backup-{number}", State.RUNNING, -30 * number - 3, attempt=1, start_time=began,
            node="node-1", parameters=b'{"script": "backup.sh"}', labels={"team": "blue"},
        )  # fmt: skip
    for number in range(60):
        late = seconds(0.0004 * (1 + number % 7) ** 2)
        yield instance(
            f"done-{number}", State.SUCCEEDED, -2 * number - 1, attempt=1, node="node-1",
            start_time=NOW - seconds(2 * number + 1) + late,
        )  # fmt: skip
    yield instance(
        "invoice-7", State.FAILED, -240, "http", attempt=3, node="node-2",
        start_time=NOW - seconds(239.998), finish_time=NOW - seconds(238),
        error=InstanceError(reason="TASK_FAILED", message="503 from the billing service"),
    )  # fmt: skip


def schedule(id: str, spec: ScheduleSpec, next: timedelta, **fields: object) -> ListedSchedule:
    stored = Schedule(
        id=id, spec=spec, create_time=NOW - timedelta(days=30), update_time=NOW - timedelta(days=3),
        progress=Progress(planned_until=NOW, next_time=NOW + next, runs=29), **fields,
    )  # fmt: skip
    times = () if stored.is_paused else (NOW + next,)
    return ListedSchedule(schedule=stored, counts={State.SUCCEEDED: 29}, next_times=times)


def board() -> Board:
    """Filled by the ways by which a feed fills it."""
    found = list(instances())
    board = Board()
    events = [
        Event(type=EventType.UPDATED, instance=each, event_time=NOW, position="") for each in found
    ]
    board.apply(EventBatch(events, ""))
    board.listing = Listing(instances=[each for each in found if not each.id.startswith("done")])
    board.stats = Stats(
        counts=Counts(
            by_state=dict(zip(State, (18_204, 3, 1_204_311, 1, 12), strict=True)), unresolved={}
        ),
        node="node-1", version="0.1.0", started_at=NOW - timedelta(days=3), window_size=412,
        running=3, subscribers=1, tasks=("bash", "http"),
        lateness=Lateness(
            count=10_000, p50=seconds(0.0011), p99=seconds(0.0094), max=seconds(0.0312)
        ),
    )  # fmt: skip
    board.schedules = [
        schedule(
            "hourly-report",
            ScheduleSpec(
                template=NewInstance(task="http"), rules=(IntervalRule(every=timedelta(hours=1)),)
            ),
            timedelta(minutes=20),
        ),
        schedule(
            "nightly-backup",
            ScheduleSpec(
                template=NewInstance(task="bash"), rules=(CronRule(expression="0 3 * * *"),)
            ),
            timedelta(hours=18), is_paused=True, pause_note="the disk is being replaced",
        ),
    ]  # fmt: skip
    board.nodes = [node("node-1", 128), node("node-2", 128)]
    board.tasks = TaskList(
        tasks=(
            TaskInfo(
                name="bash", description="Runs a script.", distribution="later-plugin-bash",
                version="0.1.0",
            ),
            TaskInfo(
                name="http", description="Sends an HTTP request.", version="0.1.0",
                distribution="later-plugin-http", rate_limit=RateLimit(count=50),
            ),
        ),
        rejected=(
            RejectedPlugin(
                name="fax", distribution="later-plugin-fax", version="0.0.1",
                reason="its module cannot be imported",
            ),
        ),
    )  # fmt: skip
    return board


def node(id: str, buckets: int) -> ListedNode:
    said = Node(
        id=id, address=f"{id}.example:9081", version="0.1.0", tasks=("bash", "http"),
        started_at=NOW - timedelta(days=3), window_size=412, running=2,
    )  # fmt: skip
    return ListedNode(NodeStatus(node=said, beat_time=NOW), buckets)


async def draw(name: str) -> str:
    """The screen of this name, as SVG."""
    app = TopApp(board(), Client("later.example:9081"), interval=None, clock=FakeClock(NOW))
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        for key in KEYS[name]:
            await pilot.press(key)
            await pilot.pause()
        svg = app.export_screenshot(title=f"later top: {name}")
    return _FONT_FACE.sub("", svg) + "\n"


def main() -> None:
    DIRECTORY.mkdir(exist_ok=True)
    for name in KEYS:
        (DIRECTORY / f"{name}.svg").write_text(asyncio.run(draw(name)), encoding="utf-8")


if __name__ == "__main__":
    main()
