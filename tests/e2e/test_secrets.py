"""What clients entrust to a server: never in its log, and with keys nowhere in clear in the database."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pymongo
import pytest
from bson import encode

from later_core.cli import main
from later_core.client.client import Client
from later_core.client.errors import RpcError
from later_core.model.encryption_key import new_key
from later_core.model.instance import Instance, NewInstance
from later_core.model.recurrence.rules import IntervalRule
from later_core.model.schedule import ScheduleSpec
from later_core.model.state import State
from later_core.ports.clock import SystemClock

CLOCK = SystemClock()
MARK = "hush-3141-hush"
#: In each way in which a log might write it down.
WAYS = (MARK, MARK.encode().hex(), "aHVzaC0zMTQxLWh1c2")
HOUR = timedelta(hours=1)


async def until_ended(client: Client, id: str) -> Instance:
    async with asyncio.timeout(40):
        while not (instance := await client.get(id)).state.is_final:
            await CLOCK.sleep(0.05)
    return instance


async def a_busy_day(address: str) -> None:
    """Each kind of request with marked parameters; what is refused too."""
    # Not with the task echo, which writes into the log whatever it is told.
    marked = f"printf {MARK}".encode()
    new = NewInstance(task="bash", id="done", parameters=marked)
    async with Client(address) as client:
        await client.create(new)
        assert MARK.encode() in (await until_ended(client, "done")).result
        await client.retry("done")
        await client.create(replace(new, id="later", delay=HOUR))
        await client.reschedule("later", delay=2 * HOUR)
        await client.abort("later")
        with pytest.raises(RpcError):
            await client.create(replace(new, parameters=marked + b"!"))
        with pytest.raises(RpcError):
            await client.create(replace(new, id=None, task=""))
        await client.create_batch([replace(new, id=f"many-{n}") for n in range(5)])
        await client.create_many([replace(new, id=f"many-{n}") for n in range(5, 10)])
        failing = f"echo {MARK} >&2; echo {MARK}; exit 3"
        await client.create(NewInstance(task="bash", id="fails", parameters=failing.encode()))
        assert (await until_ended(client, "fails")).state is State.FAILED
        template = NewInstance(task="bash", parameters=marked)
        await client.create_schedule(
            ScheduleSpec(template=template, rules=(IntervalRule(every=HOUR),)), id="hourly"
        )
        await client.trigger_schedule("hourly")
        for number in range(10):
            await until_ended(client, f"many-{number}")


def in_clear(mongodb_uri: str, database: str) -> list[Mapping[str, Any]]:
    """The records that hold the mark as it is, but for the error of the command that prints it."""
    with pymongo.MongoClient[dict[str, Any]](mongodb_uri) as mongo:
        records = [
            record
            for name in mongo[database].list_collection_names()
            for record in mongo[database][name].find()
            if record["_id"] != "fails"
        ]
    assert len(records) > 15
    return [record for record in records if MARK.encode() in encode(record)]


async def test_neither_the_log_nor_a_database_with_keys_knows_what_clients_sent(
    serve: Any,
    mongodb_uri: str,
    database: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["new-key", "2026-11"]) == 0
    first = capsys.readouterr().out
    keys = tmp_path / "keys"
    keys.write_text(first)
    settings = {"mongodb_uri": mongodb_uri, "database": database}
    server = await serve(**settings, encryption_keys=str(keys), bash_enabled="true", verbose="2")
    await a_busy_day(server.address)
    assert in_clear(mongodb_uri, database) == []

    keys.write_text(f"{new_key('2027-01')}  # the newest\n{first}")
    for name, value in (settings | {"encryption_keys": str(keys)}).items():
        monkeypatch.setenv(f"LATER_{name.upper()}", value)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert "BatchCreateInstances" in server.log, "it did log at the level of debugging"
    assert not [line for line in server.log.splitlines() if any(way in line for way in WAYS)]
    assert await asyncio.to_thread(main, ["rekey"]) == 0
    assert "left as they were: 0" in capsys.readouterr().out
    await server.stop()

    keys.write_text(keys.read_text().splitlines()[0])
    await server.start()
    async with Client(server.address) as client:
        assert MARK.encode() in (await client.get("many-3")).result
        schedule = await client.get_schedule("hourly")
        assert schedule.schedule.spec.template.parameters == f"printf {MARK}".encode()
    assert first.split(":")[1].strip() not in server.log
