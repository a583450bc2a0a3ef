"""The log of who did what, as an admin reads it."""

from __future__ import annotations

import asyncio

import grpc
import pytest

from later_core.rpc.v1 import later_pb2 as pb
from tests.rpc.callers import OUT, OUTSIDE, WITHIN, ask, bearer, make_token


async def entries(served, admin_secret, count, **conditions):
    """The entries of the log, the oldest first, once there are so many."""
    async with asyncio.timeout(30):
        while True:
            answer = await served.admin.ListAuditEntries(
                pb.ListAuditEntriesRequest(**conditions), metadata=bearer(admin_secret)
            )
            if len(answer.entries) >= count:
                return list(reversed(answer.entries))
            await served.gate_clock.sleep(0.05)


async def test_the_log_tells_who_did_what_to_what_and_how_that_came_out(serve, admin_secret):
    async with serve(guarded=True) as served:
        made = await make_token(served, admin_secret, roles=[pb.ROLE_SCHEDULER])
        mine = bearer(made.secret)
        await served.instances.CreateInstance(
            pb.CreateInstanceRequest(task="echo", id="a", parameters=b"hunter2"), metadata=mine
        )
        await served.instances.GetInstance(pb.GetInstanceRequest(id="a"), metadata=mine)
        await served.instances.AbortInstance(pb.AbortInstanceRequest(id="a"), metadata=mine)
        assert await ask(served, "/later.v1.AdminService/DrainNode", mine) in OUT
        with pytest.raises(grpc.aio.AioRpcError):
            await served.instances.AbortInstance(pb.AbortInstanceRequest(id="a"), metadata=mine)
        for _ in range(3):
            await ask(served, "/later.v1.TaskService/ListTasks")
        found = await entries(served, admin_secret, 6)
    told = [(e.principal, e.method, e.target, e.outcome, e.count) for e in found]
    assert told[:5] == [
        ("admin-token", "CreateToken", made.token.id, "OK", 1),
        ("ci", "CreateInstance", "a", "OK", 1),
        ("ci", "AbortInstance", "a", "OK", 1),
        ("ci", "DrainNode", "", "PERMISSION_DENIED", 1),
        ("ci", "AbortInstance", "a", "FAILED_PRECONDITION", 1),
    ]
    # How many of the strangers' calls share an entry depends on when it was written.
    assert {entry[:4] for entry in told[5:]} == {("", "ListTasks", "", "UNAUTHENTICATED")}
    assert all(entry.peer.startswith("ipv4:127.0.0.1:") for entry in found)
    assert "hunter2" not in str(found)
    assert [entry.id for entry in found] == sorted(entry.id for entry in found)


async def test_of_a_batch_each_outcome_is_noted_once_with_its_count(confined, admin_secret):
    served, mine, _ = confined
    requests = [
        pb.CreateInstanceRequest(id=f"i{index}", **fields)
        for index, fields in enumerate((WITHIN, *OUTSIDE, WITHIN))
    ]
    await served.instances.BatchCreateInstances(
        pb.BatchCreateInstancesRequest(requests=requests), metadata=mine
    )
    stream = served.instances.StreamCreateInstances(
        iter([pb.StreamCreateInstancesRequest(requests=requests)] * 2), metadata=mine
    )
    async for _ in stream:
        pass
    found = await entries(served, admin_secret, 6, principal="ci")
    told = [(e.method, e.target, e.outcome, e.count) for e in found]
    once = [("i0", "OK", 2), ("i1", "PERMISSION_DENIED", 3)]
    assert told == [("BatchCreateInstances", *note) for note in once] + [
        ("StreamCreateInstances", *note) for note in once * 2
    ]


async def test_the_log_is_read_by_page_and_by_condition(serve, admin_secret):
    async with serve(guarded=True) as served:
        made = await make_token(served, admin_secret, roles=[pb.ROLE_SCHEDULER])
        for index in range(5):
            await served.instances.CreateInstance(
                pb.CreateInstanceRequest(task="echo", id=f"i{index}"),
                metadata=bearer(made.secret),
            )
        await entries(served, admin_secret, 6)
        seen, request = [], pb.ListAuditEntriesRequest(page_size=2, principal="ci")
        while True:
            page = await served.admin.ListAuditEntries(request, metadata=bearer(admin_secret))
            seen += [entry.target for entry in page.entries]
            if not page.next_page_token:
                break
            request.page_token = page.next_page_token
        assert seen == ["i4", "i3", "i2", "i1", "i0"]
        (one,) = await entries(served, admin_secret, 1, target="i3", methods=["CreateInstance"])
        assert one.target == "i3"
        assert await entries(served, admin_secret, 0, outcomes=["NOT_FOUND"]) == []
