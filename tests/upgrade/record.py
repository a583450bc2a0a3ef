"""Have the previous release write records of every kind, and keep them: ``data.json``.

Run once for each release: ``python -m tests.upgrade.record``. It takes the release's code out of
git, runs its server on a MongoDB of its own, asks it what stands below, kills it while attempts run,
and writes down the whole database, and what the server had answered about it.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pymongo
from bson import json_util
from google.protobuf.json_format import MessageToDict, ParseDict
from pymongo.errors import PyMongoError

from later_core.rpc.v1 import later_pb2 as pb
from later_core.rpc.v1 import later_pb2_grpc
from later_core.stores.mongo.binary import find_mongod
from tests.upgrade import previous

DATA = Path(__file__).with_name("data.json")
Record = dict[str, Any]

#: Ended ones must outlive the years between the recording and the test.
SETTINGS = {
    "database": "recorded",
    "retention": "24000d",
    "lease": "2s",
    "grace": "2s",
    "bash_enabled": "true",
}
_FAR = "2099-01-01T00:00:00Z"
_AGAIN = {"maxAttempts": 3, "minBackoff": "0.050s", "maxBackoff": "1s", "multiplier": 3}

#: What is asked for, in the JSON form of the wire. Asked again it must be the same content.
REQUESTS: dict[str, Record] = {
    "succeeded": {"task": "echo", "json": {"message": "hello"}, "labels": {"team": "a"}},
    "failed": {"task": "bash", "json": {"command": "exit 3"}, "retry": _AGAIN},
    "aborted-while-pending": {"task": "echo", "executionTime": _FAR},
    "aborted-while-running": {"task": "bash", "json": {"command": "sleep 600"}},
    "waits-for-its-time": {
        "task": "echo",
        "json": {"message": "at last"},
        "executionTime": _FAR,
        "retry": {"maxAttempts": 5},
        "timeout": "30s",
        "startDeadline": "3600s",
        "delivery": "DELIVERY_AT_MOST_ONCE",
        "labels": {"team": "a", "kind": "x/y"},
    },
    "waits-for-another-attempt": {
        "task": "bash",
        "json": {"command": '[ "$LATER_ATTEMPT" -gt 1 ]'},
        "retry": {"maxAttempts": 2, "minBackoff": "3600s"},
    },
    "runs": {"task": "bash", "json": {"command": '[ "$LATER_ATTEMPT" -gt 1 ] || sleep 600'}},
    "runs-at-most-once": {
        "task": "bash",
        "json": {"command": "sleep 600"},
        "delivery": "DELIVERY_AT_MOST_ONCE",
    },
    "retried-by-hand": {"task": "bash", "json": {"command": '[ "$LATER_ATTEMPT" -gt 1 ]'}},
}
REACHED = {
    "succeeded": "STATE_SUCCEEDED",
    "failed": "STATE_FAILED",
    "aborted-while-pending": "STATE_ABORTED",
    "aborted-while-running": "STATE_ABORTED",
    "waits-for-its-time": "STATE_PENDING",
    "waits-for-another-attempt": "STATE_PENDING",
    "runs": "STATE_RUNNING",
    "runs-at-most-once": "STATE_RUNNING",
    "retried-by-hand": "STATE_SUCCEEDED",
}
_ECHO = {"task": "echo", "json": {"message": "tick"}}
SCHEDULES: dict[str, Record] = {
    "hourly": {
        "spec": {
            **_ECHO,
            "rules": [{"interval": {"every": "3600s", "anchor": "2026-01-01T00:00:00Z"}}],
        }
    },
    "nightly": {
        "spec": {
            **_ECHO,
            "retry": _AGAIN,
            "labels": {"team": "a"},
            "rules": [{"cron": {"expression": "30 2 * * *", "timeZone": "Europe/Berlin"}}],
            "exclusions": [{"dates": {"dates": ["2026-12-25"], "timeZone": "Europe/Berlin"}}],
            "jitter": "60s",
            "overlap": "OVERLAP_BUFFER_ONE",
            "catchUp": "CATCH_UP_NONE",
            "pauseOnFailure": True,
        },
        "isPaused": True,
    },
    "monthly": {
        "spec": {
            **_ECHO,
            "rules": [
                {
                    "calendar": {
                        "rrule": "FREQ=MONTHLY;BYDAY=-1FR;BYHOUR=18",
                        "dtstart": "2026-01-01T00:00:00Z",
                        "timeZone": "Europe/Berlin",
                    }
                }
            ],
            "startTime": "2098-01-01T00:00:00Z",
            "endTime": _FAR,
            "maxRuns": 7,
            "catchupWindow": "86400s",
        }
    },
    "once": {"spec": {**_ECHO, "rules": [{"times": {"times": [_FAR]}}]}},
}


class Caller:
    """Speaks to a server in the JSON form of the wire."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._instances = later_pb2_grpc.InstanceServiceStub(channel)
        self._schedules = later_pb2_grpc.ScheduleServiceStub(channel)

    def create(self, id: str, request: Record) -> Record:
        message = ParseDict({"id": id, **request}, pb.CreateInstanceRequest())
        return _record(self._instances.CreateInstance(message, timeout=20).instance)

    def get(self, id: str) -> Record:
        request = pb.GetInstanceRequest(id=id)
        return _record(self._instances.GetInstance(request, timeout=20).instance)

    def abort(self, id: str) -> None:
        self._instances.AbortInstance(pb.AbortInstanceRequest(id=id), timeout=20)

    def retry(self, id: str) -> None:
        self._instances.RetryInstance(pb.RetryInstanceRequest(id=id), timeout=20)

    def list(self) -> list[Record]:
        request = pb.ListInstancesRequest(page_size=1000)
        answer = self._instances.ListInstances(request, timeout=20)
        assert not answer.next_page_token
        return [_record(instance) for instance in answer.instances]

    def create_schedule(self, id: str, request: Record) -> Record:
        message = ParseDict({"id": id, **request}, pb.CreateScheduleRequest())
        return _record(self._schedules.CreateSchedule(message, timeout=20).schedule)

    def reschedule(self, id: str, execution_time: str) -> None:
        request = {"id": id, "executionTime": execution_time}
        message = ParseDict(request, pb.RescheduleInstanceRequest())
        self._instances.RescheduleInstance(message, timeout=20)

    def trigger(self, id: str) -> Record:
        request = pb.TriggerScheduleRequest(id=id)
        return _record(self._schedules.TriggerSchedule(request, timeout=20).instance)

    def schedules(self) -> list[Record]:
        answer = self._schedules.ListSchedules(pb.ListSchedulesRequest(), timeout=20)
        return [_record(listed) for listed in answer.schedules]

    def until(self, id: str, holds: Callable[[Record], bool]) -> Record:
        """The instance, once it is as wanted."""
        instance: Record = {}
        deadline = time.monotonic() + 60  # noqa: TID251 -- a real process
        while time.monotonic() < deadline:  # noqa: TID251 -- as above
            if holds(instance := self.get(id)):
                return instance
            time.sleep(0.05)  # noqa: TID251 -- a real process is asked again
        raise AssertionError(instance)

    def until_state(self, id: str, state: str) -> Record:
        return self.until(id, lambda instance: instance.get("state") == state)


def _record(message: Any) -> Record:
    record: Record = MessageToDict(message)
    return record


def play(caller: Caller) -> None:
    """Bring about what stands above."""
    for id, request in SCHEDULES.items():
        caller.create_schedule(id, request)
    for id, request in REQUESTS.items():
        caller.create(id, request)
    caller.abort("aborted-while-pending")
    caller.until("aborted-while-running", lambda one: "startTime" in one)
    caller.abort("aborted-while-running")
    caller.until_state("retried-by-hand", "STATE_FAILED")
    caller.retry("retried-by-hand")
    for id in ("runs", "runs-at-most-once"):
        caller.until(id, lambda one: "startTime" in one)
    caller.until("waits-for-another-attempt", lambda one: "error" in one)
    for id, state in REACHED.items():
        caller.until_state(id, state)


def dump(database: pymongo.database.Database[Record]) -> Record:
    """Every collection: options, indexes, documents."""
    found = sorted(database.list_collections(), key=lambda collection: collection["name"])
    return {
        collection["name"]: {
            "options": collection["options"],
            "indexes": list(database[collection["name"]].list_indexes()),
            "documents": list(database[collection["name"]].find(sort=[("_id", 1)])),
        }
        for collection in found
    }


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="later-record-") as made:
        folder = Path(made)
        code = previous.take_out(folder)
        (folder / "db").mkdir()
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        mongod = subprocess.Popen(
            [
                *(str(find_mongod()), f"--dbpath={folder / 'db'}", f"--port={port}"),
                *("--replSet=rs0", "--bind_ip=127.0.0.1", "--nounixsocket"),
                *("--wiredTigerCacheSizeGB=0.25", f"--logpath={folder / 'mongod.log'}"),
            ]
        )
        uri = f"mongodb://127.0.0.1:{port}/?directConnection=true"
        try:
            with pymongo.MongoClient[Record](uri) as client:
                _initiate(client)
                settings = {"mongodb_uri": uri, **SETTINGS}
                with previous.serving(folder / "later.log", code=code, settings=settings) as server:
                    with grpc.insecure_channel(server.address) as channel:
                        caller = Caller(channel)
                        play(caller)
                        answers = {"instances": caller.list(), "schedules": caller.schedules()}
                    server.kill()
                recorded = {
                    "commit": previous.COMMIT,
                    "answers": answers,
                    "collections": _extended(dump(client[SETTINGS["database"]])),
                }
        finally:
            mongod.terminate()
            mongod.wait()
    text = json.dumps(recorded, indent=1).replace(socket.gethostname(), "host")
    DATA.write_text(text + "\n", encoding="utf-8")
    sys.stdout.write(f"wrote {DATA}\n")


def _extended(documents: Record) -> Record:
    options = json_util.CANONICAL_JSON_OPTIONS
    extended: Record = json.loads(json_util.dumps(documents, json_options=options))
    return extended


def _initiate(client: pymongo.MongoClient[Record]) -> None:
    client.admin.command("replSetInitiate")
    for _ in range(600):
        try:
            if client.admin.command("hello")["isWritablePrimary"]:
                return
        except PyMongoError:
            pass  # it is still on its way
        time.sleep(0.05)  # noqa: TID251 -- a real process is asked again
    raise AssertionError("no primary")


if __name__ == "__main__":
    main()
