"""Clients that begin and do not go on, that do not read, that leave in the middle: all of it is let go."""

from __future__ import annotations

import uuid
from contextlib import ExitStack

import grpc
import pytest

from later_core.rpc.v1 import later_pb2 as pb

from .conftest import SECONDS
from .wire import conversation, framed

CREATE = "/later.v1.InstanceService/StreamCreateInstances"
IMPORT = "/later.v1.AdminService/ImportInstances"
WATCH = "/later.v1.InstanceService/WatchInstances"
EXPORT = "/later.v1.AdminService/ExportInstances"
GET = "/later.v1.InstanceService/GetInstance"

BATCH = pb.StreamCreateInstancesRequest(
    requests=[{"task": "echo", "delay": {"seconds": 90_000}}] * 10
).SerializeToString()
PART = pb.ImportInstancesRequest(
    snapshot_time={"seconds": 1_900_000_000}, validate_only=True
).SerializeToString()

#: Where each one stops: behind its headers, in a frame's head, in a message, between two.
STOPS = {
    "headers alone": (CREATE, b""),
    "half a head": (CREATE, framed(BATCH)[:3]),
    "half a batch": (CREATE, framed(BATCH)[:-5]),
    "a batch": (CREATE, framed(BATCH)),
    "half of the largest": (IMPORT, framed(b"", length=4 * 1024 * 1024) + bytes(100_000)),
    "half a part": (IMPORT, framed(PART) + framed(PART)[:7]),
    "a watch": (WATCH, framed(b"")),
    "half a watch": (WATCH, framed(b"", length=100)),
    "an export": (EXPORT, framed(b"")),
    "half a request": (GET, framed(b"", length=5)),
}


def test_streams_that_stall_midway_hold_nobody_up_and_leave_nothing_behind(server):
    with server.unharmed(), ExitStack() as stack:
        for path, data in STOPS.values():
            talk = stack.enter_context(conversation(server.port))
            for _ in range(20):
                talk.say(talk.begin(path), data, is_last=False)
        for _ in range(3):
            server.is_well()
        assert server.signs().calls >= 20 * len(STOPS) / 2
        # They have hung up.


def test_a_message_that_comes_byte_by_byte_is_taken(server):
    with server.unharmed(), conversation(server.port) as talk:
        stream = talk.begin(CREATE)
        for place in range(len(framed(BATCH))):
            talk.say(stream, framed(BATCH)[place : place + 1], is_last=False)
        talk.say(stream, b"", is_last=True)
        assert talk.status(stream) == 0


def test_a_thousand_watches_that_are_left_at_once_are_forgotten(server):
    with server.unharmed():
        for number in range(1000):
            watch = server.instances.WatchInstances(
                pb.WatchInstancesRequest(include_existing=bool(number % 2)), timeout=SECONDS
            )
            if number % 10 == 0:
                next(watch)
            watch.cancel()


def test_calls_that_are_left_midway_are_whole_or_have_not_been(server):
    """An instance is there or not, whenever its client has left; and what was answered is there."""
    run = uuid.uuid4().hex
    batch = pb.BatchCreateInstancesRequest()
    for _ in range(200):
        batch.requests.add(task="echo", delay={"seconds": 90_000}, labels={"run": run})
    answered = 0
    with server.unharmed():
        for number in range(60):
            call = server.instances.BatchCreateInstances.future(batch, timeout=SECONDS)
            if number % 6 == 0:
                answered += len(call.result().results)
            call.cancel()
    found, token = 0, ""
    while True:
        asked = pb.ListInstancesRequest(
            filter={"labels": {"run": run}}, page_size=1000, page_token=token
        )
        page = server.instances.ListInstances(asked, timeout=SECONDS)
        found, token = found + len(page.instances), page.next_page_token
        if not token:
            break
    assert answered == 2000
    assert answered <= found <= 60 * 200


@pytest.mark.parametrize("deadline", ["0n", "1n", "1u", "1m"])
def test_deadlines_that_are_over_at_once_end_every_kind_of_call(server, deadline):
    with server.unharmed(), conversation(server.port) as talk:
        asked = [
            (path, talk.begin(path, {"grpc-timeout": deadline}), data)
            for path, data in STOPS.values()
            for _ in range(5)
        ]
        for path, stream, data in asked:
            talk.say(stream, data, is_last=path in (WATCH, EXPORT))
        for _, stream, _ in asked:
            assert talk.status(stream) != grpc.StatusCode.INTERNAL.value[0]


def test_watches_that_never_read_do_not_fill_the_memory(server):
    """Forty of them, and forty megabytes of news: were each kept for each, it would be 1.6 GB."""
    run = uuid.uuid4().hex
    asked = pb.WatchInstancesRequest(filter={"labels": {"run": run}}).SerializeToString()
    with server.unharmed(), conversation(server.port) as talk:
        for _ in range(40):
            talk.say(talk.begin(WATCH), framed(asked), is_last=True)
        server.is_well()
        for _ in range(40):
            create = pb.CreateInstanceRequest(
                task="echo",
                parameters=bytes(1024 * 1024),
                labels={"run": run},
                delay={"seconds": 90_000},
            )
            server.instances.CreateInstance(create, timeout=SECONDS)
