"""A crontab goes to a real server and comes back; its commands run as cron would run them."""

import asyncio
import json
import time
import uuid
from collections.abc import Callable, Coroutine, Iterator
from datetime import timedelta
from functools import partial
from operator import methodcaller
from pathlib import Path
from typing import TypeVar

import pytest

from later_core.client import Client
from later_core.model.instance import NewInstance
from later_core.model.recurrence.rules import IntervalRule
from later_core.model.schedule import ScheduleFilter, ScheduleSpec

T = TypeVar("T")

TAB = r"""MAILTO=""
CRON_TZ=Europe/Paris
# nightly dump
30 2 1 1 *   dump shop > /backups/shop-$(date +\%F)
A='b c'
@yearly  cat > in; pwd > where; printenv A > a%one%two
SHELL=/opt/another-shell
@yearly  a  'b'
@yearly  a  'b'
@reboot  never
"""
SECONDS = 30


@pytest.fixture
def name() -> str:
    return f"t{uuid.uuid4().hex[:12]}"


@pytest.fixture
def tab(tmp_path: Path, name: str) -> Path:
    file = tmp_path / name
    file.write_text(TAB)
    return file


def converse(address: str, talk: Callable[[Client], Coroutine[None, None, T]]) -> T:
    async def whole() -> T:
        async with Client(address) as client:
            return await talk(client)

    return asyncio.run(whole())


def results(records: list[dict]) -> list[tuple[int, str]]:
    return [(record["line"], record["result"]) for record in records]


def test_an_import_creates_what_is_not_there_and_then_nothing(ask, server, tab: Path, name: str):
    first = ask("crontab", "import", str(tab), "--json")
    assert first.code == 1
    assert results(first.records) == [
        *((line, "CREATED") for line in (4, 6, 8, 9)),
        (10, "REFUSED"),
    ]
    assert first.err.endswith(
        f"later: error: 4 created, 1 refused: 1 line of {name} not taken over\n"
    )
    again = ask("crontab", "import", str(tab), "--json")
    assert results(again.records) == [
        *((line, "EXISTED") for line in (4, 6, 8, 9)),
        (10, "REFUSED"),
    ]
    ids = [record["id"] for record in first.records if "id" in record]
    assert len(set(ids)) == 4
    assert ids == [record["id"] for record in again.records if "id" in record]

    async def ids_with_the_label(client: Client) -> list[str]:
        of_the_crontab = ScheduleFilter(labels={"crontab": name})
        return [listed.schedule.id async for listed in client.list_schedules(of_the_crontab)]

    assert converse(server.address, ids_with_the_label) == sorted(ids)


def test_what_is_there_with_other_policies_is_not_changed(ask, tab: Path):
    ask("crontab", "import", str(tab))
    said = ask("crontab", "import", str(tab), "--overlap", "skip", "--json")
    assert said.code == 1
    assert {result for _, result in results(said.records)} == {"REFUSED"}
    assert "later schedules update" in said.records[0]["reason"]


def test_an_export_reads_back_as_the_same_schedules(ask, tab: Path, name: str, tmp_path: Path):
    ask("crontab", "import", str(tab))
    said = ask("crontab", "export", name)
    assert said.code == 0
    assert said.err == "later: 4 written\n"
    assert "\n# nightly dump\n# later: {" in said.out
    assert "\n30 2 1 1 * dump shop > /backups/shop-$(date +\\%F)\n" in said.out
    exported = tmp_path / "exported"
    exported.write_text(said.out)
    again = ask("crontab", "import", str(exported), "--tz", "Asia/Tokyo", "--json")
    assert again.code == 0
    assert {result for _, result in results(again.records)} == {"EXISTED"}
    assert len(again.records) == 4


def test_an_export_tells_what_cron_cannot_say(ask, server, name: str):
    spec = ScheduleSpec(
        template=NewInstance(task="echo", labels={"l": name}),
        rules=(IntervalRule(every=timedelta(days=1)),),
    )
    converse(server.address, lambda client: client.create_schedule(spec, id=name))
    said = ask("crontab", "export", "--system", "--label", f"l={name}")
    assert said.code == 0
    assert f"# not written: {name}: its rule is no cron expression\n" in said.out
    assert said.err == "later: 0 written, 1 as comments with the reason\n"


def test_people_read_what_became_of_each_line(ask, tab: Path, name: str):
    said = ask("crontab", "import", str(tab))
    rows = [line.split() for line in said.out.splitlines() if line]
    assert rows[0][:3] == ["LINE", "RESULT", "SCHEDULE"]
    assert [row[:2] for row in rows[1:5]] == [[line, "created"] for line in "4689"]
    assert rows[1][2].startswith(f"{name}-dump-")
    assert rows[6][:2] == ["10", "@reboot"]


@pytest.fixture
def runs_commands(
    start_server: Callable, mongodb_uri: str, database: str, tmp_path: Path
) -> Iterator[str]:
    """The address of a server on which the task bash is switched on."""
    server = start_server(
        f"--mongodb-uri={mongodb_uri}", f"--database={database}", f"--data-dir={tmp_path}",
        "--recurrence=1s", "--time-ahead=5s", "--set=bash_enabled=true",
    )  # fmt: skip
    yield server.address
    server.stop()


def test_a_command_gets_what_cron_gives_it(later, runs_commands: str, tab: Path, tmp_path: Path):
    home = tmp_path / "home"
    home.mkdir()
    shell = tmp_path / "shell"
    shell.write_text("#!/bin/sh\nprintf '%s,' \"$@\" > said-to-the-shell\n")
    shell.chmod(0o755)
    tab.write_text(f"HOME={home}\n{TAB}".replace("/opt/another-shell", str(shell)))
    ask = partial(later, "--address", runs_commands)
    said = ask("crontab", "import", str(tab), "--json")
    for record in said.records[1:3]:
        instance = converse(runs_commands, methodcaller("trigger_schedule", record["id"]))
        assert ended(ask, instance.id)["state"] == "STATE_SUCCEEDED"
    files = {file.name: file.read_text() for file in home.iterdir()}
    assert files == {
        "in": "one\ntwo\n",
        "where": f"{home}\n",
        "a": "b c\n",
        "said-to-the-shell": "-c,a  'b',",
    }


def ended(ask: Callable, id: str) -> dict:
    deadline = time.monotonic() + SECONDS  # noqa: TID251 - a real process
    while True:
        (instance,) = ask("get", id, "--json").records
        if "finishTime" in instance:
            return instance
        assert time.monotonic() < deadline, json.dumps(instance)  # noqa: TID251 - a real process
        time.sleep(0.05)  # noqa: TID251 - a real process is asked again
