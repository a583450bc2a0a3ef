"""A rolling upgrade: the previous release and this one on one database, forward and back again."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import pymongo
import pytest

from tests.upgrade import previous
from tests.upgrade.record import SETTINGS, Caller, Record

pytestmark = pytest.mark.skipif(
    not previous.is_known(), reason="the previous release is taken out of git, and git has it not"
)

AT_ONCE: Record = {"task": "bash", "json": {"command": "echo $LATER_ATTEMPT"}}
TRIED_AGAIN: Record = {
    "task": "bash",
    "json": {"command": '[ "$LATER_ATTEMPT" -gt 2 ]'},
    "retry": {"maxAttempts": 3, "minBackoff": "0.050s"},
}
LONG: Record = {"task": "bash", "json": {"command": '[ "$LATER_ATTEMPT" -gt 1 ] || sleep 600'}}
EVERY_SECOND: Record = {
    "spec": {"task": "echo", "json": {"message": "tick"}, "rules": [{"interval": {"every": "1s"}}]}
}
#: Enough that each of two nodes has buckets of some of them.
MANY = 60


@dataclass
class Rolling:
    """Servers of both versions on one database."""

    folder: Path
    code: list[Path]
    settings: dict[str, str]
    stack: ExitStack
    started: int = field(default=0)

    def old(self) -> tuple[previous.ServerProcess, Caller]:
        return self._start(self.code)

    def new(self) -> tuple[previous.ServerProcess, Caller]:
        return self._start([])

    def _start(self, code: list[Path]) -> tuple[previous.ServerProcess, Caller]:
        self.started += 1
        log = self.folder / f"{self.started}.log"
        server = self.stack.enter_context(previous.serving(log, code=code, settings=self.settings))
        channel = self.stack.enter_context(grpc.insecure_channel(server.address))
        return server, Caller(channel)


@pytest.fixture
def rolling(mongodb_uri: str, tmp_path: Path) -> Iterator[Rolling]:
    name = f"test_{uuid.uuid4().hex}"
    code = previous.take_out(tmp_path / "code")
    settings = {**SETTINGS, "mongodb_uri": mongodb_uri, "database": name}
    with ExitStack() as stack:
        yield Rolling(folder=tmp_path, code=code, settings=settings, stack=stack)
    with pymongo.MongoClient[Record](mongodb_uri) as client:
        client.drop_database(name)


def by_node(caller: Caller, prefix: str) -> set[str]:
    """The nodes that ran those whose ids begin so; each must have run once, with success."""
    nodes = set()
    for number in range(MANY):
        ended = caller.until_state(f"{prefix}{number}", "STATE_SUCCEEDED")
        assert ended["attempt"] == 1
        nodes.add(ended["node"])
    return nodes


def test_both_versions_share_the_work_and_each_takes_over_from_the_other(rolling: Rolling) -> None:
    old_server, old = rolling.old()
    old.create_schedule("tick", EVERY_SECOND)
    old.create("long", LONG)
    old.until("long", lambda one: "startTime" in one)

    _, new = rolling.new()
    # Asked of either, a repeated create is the same one.
    assert new.create("long", LONG)["createTime"] == old.get("long")["createTime"]
    new.create("raised", {**AT_ONCE, "priority": 7})
    old.until_state("raised", "STATE_SUCCEEDED")
    assert new.get("raised")["priority"] == 7, "the old one ran it, perhaps, and took nothing away"

    for number in range(MANY):
        (old if number % 2 else new).create(f"shared{number}", AT_ONCE)
    assert len(by_node(new, "shared")) == 2
    for number in range(MANY // 4):
        new.create(f"again{number}", TRIED_AGAIN)
    for number in range(MANY // 4):
        # Between two attempts it may have changed from one version to the other.
        assert old.until_state(f"again{number}", "STATE_SUCCEEDED")["attempt"] == 3
    assert {one["id"] for one in old.list()} >= {"long", "raised", "shared0", "again0"}

    old_server.kill()
    taken_over = new.until_state("long", "STATE_SUCCEEDED")
    assert taken_over["attempt"] == 2
    assert {one["state"] for one in new.list() if one["id"].startswith("shared")} == {
        "STATE_SUCCEEDED"
    }
    assert_it_ticks(new)


def test_the_previous_release_goes_on_where_this_one_was_taken_back(rolling: Rolling) -> None:
    new_server, new = rolling.new()
    new.create_schedule("tick", EVERY_SECOND)
    new.create("tried-again", {**TRIED_AGAIN, "priority": 3})
    new.until_state("tried-again", "STATE_SUCCEEDED")
    new.create("waits", {**AT_ONCE, "executionTime": "2099-01-01T00:00:00Z", "priority": 3})
    new.create("long", LONG)
    new.until("long", lambda one: "startTime" in one)
    new_server.kill()

    _, old = rolling.old()
    assert {one["id"]: one["state"] for one in old.list()}["waits"] == "STATE_PENDING"
    assert old.get("tried-again")["attempt"] == 3
    old.reschedule("waits", "2026-01-01T00:00:00Z")
    old.until_state("waits", "STATE_SUCCEEDED")
    old.until_state("long", "STATE_SUCCEEDED")
    assert_it_ticks(old)


def assert_it_ticks(caller: Caller) -> None:
    """Whoever is there plans the schedule on."""
    ticks = {one["id"] for one in caller.list() if one.get("scheduleId") == "tick"}
    caller.create("waits-for-a-tick", {**AT_ONCE, "delay": "2s"})
    caller.until_state("waits-for-a-tick", "STATE_SUCCEEDED")
    caller.until(
        "waits-for-a-tick",
        lambda _: any(
            one.get("scheduleId") == "tick"
            and one["id"] not in ticks
            and one["state"] == "STATE_SUCCEEDED"
            for one in caller.list()
        ),
    )
