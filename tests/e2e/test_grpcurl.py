"""The real grpcurl against the real server: what a person can do with no client of ours."""

from __future__ import annotations

import asyncio
import json
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

SERVICE = "later.v1.InstanceService"
SCHEDULES = "later.v1.ScheduleService"


class Grpcurl:
    """grpcurl with the address of the server."""

    def __init__(self, binary: Path, address: str) -> None:
        self._command = (str(binary), "-plaintext")
        self._address = address

    async def text(self, *arguments: str, data: Any = None, code: int = 0) -> str:
        """What it prints; it must end with that exit code."""
        flags = () if data is None else ("-d", json.dumps(data))
        process = await asyncio.create_subprocess_exec(
            *(*self._command, *flags, self._address, *arguments), stdout=PIPE, stderr=PIPE
        )
        async with asyncio.timeout(30):
            output, errors = await process.communicate()
        assert process.returncode == code, errors.decode()
        return (output or errors).decode()

    async def call(self, method: str, data: Any, *, service: str = SERVICE) -> Any:
        """The answer of a method."""
        return json.loads(await self.text(f"{service}/{method}", data=data))

    @asynccontextmanager
    async def stream(self, method: str, data: Any) -> AsyncIterator[AsyncIterator[Any]]:
        """The messages of a stream, as they come."""
        process = await asyncio.create_subprocess_exec(
            *(*self._command, "-d", json.dumps(data), self._address, f"{SERVICE}/{method}"),
            stdout=PIPE,
        )
        assert process.stdout is not None
        try:
            async with asyncio.timeout(40), aclosing(_messages(process.stdout)) as messages:
                yield messages
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()


async def _messages(output: asyncio.StreamReader) -> Any:
    """Pretty-printed JSON objects, one after the other."""
    text = ""
    while line := await output.readline():
        text += line.decode()
        if line.startswith(b"}"):
            yield json.loads(text)
            text = ""


@pytest.fixture
def run(grpcurl: Path, server: Any) -> Grpcurl:
    return Grpcurl(grpcurl, server.address)


async def until(ask: Callable[[], Awaitable[Any]], state: str) -> Any:
    async with asyncio.timeout(20):
        while True:
            answer = (await ask())["instance"]
            if answer["state"] == state:
                return answer


async def test_reflection_lists_and_describes_the_services(run: Grpcurl) -> None:
    services = (await run.text("list")).split()
    assert {
        SERVICE,
        SCHEDULES,
        "later.v1.TaskService",
        "later.v1.AdminService",
        "grpc.health.v1.Health",
        "grpc.channelz.v1.Channelz",
        "grpc.reflection.v1alpha.ServerReflection",
    } <= set(services)
    assert f"{SERVICE}.CreateInstance" in await run.text("list", SERVICE)
    assert "execution_time" in await run.text("describe", "later.v1.CreateInstanceRequest")


async def test_create_get_list_and_run_with_json_and_delay(run: Grpcurl) -> None:
    created = await run.call(
        "CreateInstance",
        {"id": "hello", "task": "echo", "json": {"message": "hello"}, "delay": "1.5s"},
    )
    assert created["instance"]["state"] == "STATE_PENDING"

    ended = await until(lambda: run.call("GetInstance", {"id": "hello"}), "STATE_SUCCEEDED")
    assert ended["start_time"] >= ended["execution_time"]

    page = await run.call("ListInstances", {"filter": {"tasks": ["echo"]}})
    assert [instance["id"] for instance in page["instances"]] == ["hello"]


async def test_watch_and_abort(run: Grpcurl) -> None:
    await run.call(
        "CreateInstance", {"id": "later", "task": "echo", "json": {"message": "x"}, "delay": "600s"}
    )
    async with run.stream("WatchInstances", {"include_existing": True}) as messages:
        events: list[Any] = []
        aborted: Any = None
        async for message in messages:
            events += message.get("events", [])
            if events and aborted is None:
                aborted = await run.call("AbortInstance", {"id": "later"})
            if len(events) == 2:
                break
    assert aborted["previous_state"] == "STATE_PENDING"
    assert [(event["type"], event["instance"]["state"]) for event in events] == [
        ("EVENT_TYPE_EXISTING", "STATE_PENDING"),
        ("EVENT_TYPE_UPDATED", "STATE_ABORTED"),
    ]


async def test_a_wrong_request_is_answered_by_a_status_that_names_the_field(run: Grpcurl) -> None:
    refused = await run.text(f"{SERVICE}/CreateInstance", data={"delay": "-1s"}, code=67)
    assert "InvalidArgument" in refused
    assert "task" in refused
    missing = await run.text(f"{SERVICE}/GetInstance", data={"id": "nobody"}, code=69)
    assert "NotFound" in missing


async def test_a_schedule_from_its_preview_to_its_end(run: Grpcurl) -> None:
    async def call(method: str, **data: Any) -> Any:
        return await run.call(f"{method}Schedule", data, service=SCHEDULES)

    spec = {
        "task": "echo",
        "json": {"message": "hi"},
        "rules": [{"cron": {"expression": "*/5 9-17 * * MON-FRI"}}],
        "exclusions": [{"dates": {"dates": ["2026-05-01"]}}],
        "time_zone": "Europe/Paris",
    }
    preview = await call("Preview", spec=spec, after="2026-04-30T15:50:00Z", count=2)
    assert preview["times"] == ["2026-04-30T15:55:00Z", "2026-05-04T07:00:00Z"]

    created = await call("Create", id="tick", spec=spec)
    assert created["schedule"]["spec"]["overlap"] == "OVERLAP_SKIP"
    again = await call("Create", id="tick", spec=spec)
    assert again["schedule"]["etag"] == created["schedule"]["etag"]

    paused = await call("Pause", id="tick", note="holiday")
    assert paused["schedule"]["pause_note"] == "holiday"
    assert "next_times" not in await call("Get", id="tick")
    resumed = await call("Resume", id="tick")
    assert "is_paused" not in resumed["schedule"]
    assert len((await call("Get", id="tick"))["next_times"]) == 5

    triggered = await call("Trigger", id="tick", request_id="by-hand")
    assert triggered["instance"]["id"] == "tick@manual-by-hand"
    got = {"id": "tick@manual-by-hand"}
    ended = await until(lambda: run.call("GetInstance", got), "STATE_SUCCEEDED")
    assert ended["schedule_id"] == "tick"

    # What Get answers, changed, is what Update takes.
    listed = await call("Get", id="tick")
    changed = listed["schedule"]["spec"] | {"time_zone": "Asia/Tokyo"}
    updated = await call("Update", id="tick", spec=changed, etag=listed["schedule"]["etag"])
    assert updated["schedule"]["spec"]["time_zone"] == "Asia/Tokyo"

    await call("Delete", id="tick")
    missing = await run.text(f"{SCHEDULES}/GetSchedule", data={"id": "tick"}, code=69)
    assert "NotFound" in missing


async def test_a_schedule_fires_by_itself(run: Grpcurl) -> None:
    spec = {"task": "echo", "json": {"message": "hi"}, "max_runs": 2}
    rules = [{"interval": {"every": "1s"}}]
    data = {"id": "soon", "spec": spec | {"rules": rules}}
    await run.call("CreateSchedule", data, service=SCHEDULES)

    async def counts() -> dict[str, int]:
        listed = await run.call("GetSchedule", {"id": "soon"}, service=SCHEDULES)
        return {row["state"]: int(row.get("count", 0)) for row in listed["states"]}

    async with asyncio.timeout(30):
        while (found := await counts())["STATE_SUCCEEDED"] < 2:
            pass
    assert sum(found.values()) == 2


async def test_a_wrong_rule_is_named_by_its_path(run: Grpcurl) -> None:
    wrong = {"task": "echo", "rules": [{"cron": {"expression": "61 * * * *"}}]}
    refused = await run.text(f"{SCHEDULES}/CreateSchedule", data={"spec": wrong}, code=67)
    assert "spec.rules[0].cron.expression" in refused


async def test_an_export_is_what_an_import_takes(run: Grpcurl) -> None:
    await run.call(
        "CreateInstance", {"id": "later", "task": "echo", "json": {"message": "x"}, "delay": "600s"}
    )
    text = await run.text("later.v1.AdminService/ExportInstances", data={})
    parts = [json.loads(part + "}") for part in text.split("\n}\n")[:-1]]
    [exported] = [one for part in parts for one in part.get("instances", ())]
    assert exported["instance"]["id"] == "later"
    assert exported["fingerprint"]
    answer = await run.call(
        "ImportInstances",
        {"instances": [exported], "snapshot_time": parts[0]["snapshot_time"]},
        service="later.v1.AdminService",
    )
    assert answer["instances"] == {"existing": 1}
