"""The server as a whole: where it listens, what it lets out, how it ends."""

from __future__ import annotations

import asyncio
import socket
from datetime import timedelta

import grpc
import pytest
from structlog.testing import capture_logs

from later_core.errors import HistoryLost, ListenFailed, StoreUnavailable
from later_core.ports.clock import SystemClock
from later_core.rpc.v1 import later_pb2 as pb
from later_core.rpc.v1.later_pb2_grpc import InstanceServiceStub
from later_core.stores.memory import MemoryStore


class FaultyStore(MemoryStore):
    """Raises what the test says, for every id that is asked for."""

    def __init__(self, error):
        super().__init__(clock=SystemClock())
        self.error = error

    async def get(self, id):
        raise self.error

    async def insert(self, instances):
        raise self.error


async def get(served):
    return await served.instances.GetInstance(pb.GetInstanceRequest(id="a"))


async def test_a_taken_port_is_refused(serve):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(ExceptionGroup) as raised:
            async with serve(listen=address):
                raise AssertionError
    assert raised.group_contains(ListenFailed, match=address)


async def test_the_port_of_another_server_is_refused(serve):
    async with serve() as served:
        with pytest.raises(ExceptionGroup) as raised:
            async with serve(listen=served.server.address):
                raise AssertionError
    assert raised.group_contains(ListenFailed)


async def test_an_address_that_is_none_of_ours_is_refused(serve):
    with pytest.raises(ExceptionGroup) as raised:
        async with serve(listen="192.0.2.1:0"):
            raise AssertionError
    assert raised.group_contains(ListenFailed)


@pytest.mark.parametrize("listen", ["127.0.0.1:0", "localhost:0", "0.0.0.0:0", "[::1]:0"])
async def test_it_says_where_it_listens(serve, listen):
    try:
        async with serve(listen=listen) as served:
            assert served.server.address.rpartition(":")[0] == listen[:-2]
    except* ListenFailed:
        pytest.skip("no such address family here")


async def test_a_unix_socket_serves(serve, tmp_path):
    async with serve(listen=f"unix:{tmp_path}/later.sock") as served:
        assert (await served.tasks.ListTasks(pb.ListTasksRequest())).tasks


async def test_tasks_are_listed_with_their_plugins(serve, refusal):
    async with serve() as served:
        listed = await served.tasks.ListTasks(pb.ListTasksRequest())
        assert [task.name for task in listed.tasks] == ["bash", "echo"]
        one = (await served.tasks.GetTask(pb.GetTaskRequest(name="echo"))).task
        assert one == listed.tasks[1]
        assert one.distribution == "later-test"
        assert one.parameters_schema["required"][0] == "message"
        assert not listed.tasks[0].HasField("parameters_schema")
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await served.tasks.GetTask(pb.GetTaskRequest(name="ehco"))
        assert refusal(raised.value).info.metadata["nearest"] == "echo"


async def test_figures_have_every_state_once(serve):
    async with serve() as served:
        await served.instances.CreateInstance(pb.CreateInstanceRequest(task="echo"))
        stats = await served.admin.GetStats(pb.GetStatsRequest())
        counts = {pb.State.Name(count.state): count.count for count in stats.states}
        assert counts == {
            "STATE_PENDING": 1,
            "STATE_RUNNING": 0,
            "STATE_SUCCEEDED": 0,
            "STATE_FAILED": 0,
            "STATE_ABORTED": 0,
        }
        assert (stats.node, stats.version, list(stats.tasks)) == (
            "node-1",
            "1.2.3",
            ["bash", "echo"],
        )


async def test_an_unexpected_exception_is_in_the_log_and_nowhere_else(serve, refusal):
    with capture_logs() as logs:
        async with serve(FaultyStore(KeyError("password"))) as served:
            with pytest.raises(grpc.aio.AioRpcError) as raised:
                await get(served)
    refused = refusal(raised.value)
    assert refused.code is grpc.StatusCode.INTERNAL
    assert refused.message == "internal error"
    assert "password" not in str(raised.value.trailing_metadata())
    (entry,) = [entry for entry in logs if entry["log_level"] == "error"]
    assert isinstance(entry["exc_info"], KeyError)


async def test_an_unexpected_exception_in_a_stream_is_internal_too(serve, refusal):
    async with serve(FaultyStore(KeyError("password"))) as served:
        call = served.instances.StreamCreateInstances()
        await call.write(
            pb.StreamCreateInstancesRequest(requests=[pb.CreateInstanceRequest(task="echo")])
        )
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await call.read()
    assert refusal(raised.value).message == "internal error"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (StoreUnavailable("db-3:27017"), grpc.StatusCode.UNAVAILABLE),
        (HistoryLost(), grpc.StatusCode.DATA_LOSS),
    ],
)
async def test_an_error_of_the_store_has_its_code(serve, refusal, error, code):
    async with serve(FaultyStore(error)) as served:
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await get(served)
    refused = refusal(raised.value)
    assert refused.code is code
    assert refused.info.reason == error.reason


async def test_every_call_is_logged_with_its_code_and_without_its_parameters(serve):
    with capture_logs() as logs:
        async with serve() as served:
            request = pb.CreateInstanceRequest(task="echo", parameters=b"secret")
            await served.instances.CreateInstance(request)
            with pytest.raises(grpc.aio.AioRpcError):
                await get(served)
    calls = [entry for entry in logs if entry["event"] == "call ended"]
    assert [(entry["method"].rpartition("/")[2], entry["code"]) for entry in calls] == [
        ("CreateInstance", "OK"),
        ("GetInstance", "NOT_FOUND"),
    ]
    assert all(entry["elapsed_ms"] >= 0 and entry["log_level"] == "debug" for entry in calls)
    assert "secret" not in str(logs)


async def test_a_call_under_way_finishes_within_the_grace(serve):
    begun, go_on = asyncio.Event(), asyncio.Event()

    class SlowStore(MemoryStore):
        async def get(self, id):
            begun.set()
            await go_on.wait()
            return await super().get(id)

    store = SlowStore(clock=SystemClock())
    async with (
        asyncio.timeout(20),
        asyncio.TaskGroup() as group,  # outlives the server, as the reader in it must
        serve(store) as served,
    ):
        create = pb.CreateInstanceRequest(task="echo", id="a")
        await served.instances.CreateInstance(create)
        channel = grpc.aio.insecure_channel(served.server.address)
        reading = InstanceServiceStub(channel).GetInstance(pb.GetInstanceRequest(id="a"))

        async def read():
            assert (await reading).instance.id == "a"
            await channel.close()

        group.create_task(read())
        await begun.wait()
        asyncio.get_running_loop().call_later(0.05, go_on.set)


async def test_a_call_that_outlives_the_grace_is_cut_off(serve):
    begun = asyncio.Event()

    class StuckStore(MemoryStore):
        async def get(self, id):
            begun.set()
            await asyncio.Event().wait()

    async with (
        asyncio.timeout(20),
        asyncio.TaskGroup() as group,
        serve(StuckStore(clock=SystemClock()), grace=timedelta(milliseconds=50)) as served,
    ):
        channel = grpc.aio.insecure_channel(served.server.address)
        reading = InstanceServiceStub(channel).GetInstance(pb.GetInstanceRequest(id="a"))

        async def read():
            with pytest.raises(grpc.aio.AioRpcError):
                await reading
            await channel.close()

        group.create_task(read())
        await begun.wait()
