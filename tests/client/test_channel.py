"""What a channel does by itself: repeat what may be repeated, and go round several servers."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from contextlib import AsyncExitStack, asynccontextmanager

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio

from later_core.client.channel import REPEATABLE, open_channel, service_config
from later_core.client.client import Client
from later_core.client.errors import SERVERS_NOT_SERVING, RpcError
from later_core.model.instance import NewInstance
from later_core.model.tls import ClientTls, ServerTls
from later_core.rpc.transport import Transport
from later_core.rpc.v1 import later_pb2 as pb

#: Why the others are not repeated by themselves.
ONCE = {
    "CreateToken": "its secret is told once: the second call would make another, or find the id taken",
    "AbortInstance": "the second call would say INSTANCE_ENDED of the first one's doing",
    "RescheduleInstance": "a revision may have been used up by the first call",
    "RetryInstance": "the second call would say INSTANCE_NOT_ENDED of the first one's doing",
    "UpdateSchedule": "an etag may have been used up by the first call",
    "DeleteSchedule": "the second call would say SCHEDULE_NOT_FOUND of the first one's doing",
    "PauseSchedule": "somebody may have resumed it in between",
    "ResumeSchedule": "somebody may have paused it in between",
}

METHODS = [
    (service.full_name, method)
    for service in pb.DESCRIPTOR.services_by_name.values()
    for method in service.methods
]


@pytest.mark.parametrize(("service", "method"), METHODS, ids=lambda each: getattr(each, "name", ""))
def test_every_call_is_repeated_or_there_is_a_reason_why_not(service: str, method):
    if method.server_streaming:
        assert method.name not in REPEATABLE.get(
            service, ()
        )  # gRPC repeats no stream that was heard
    else:
        assert (method.name in REPEATABLE.get(service, ())) != (method.name in ONCE)


def test_one_server_is_asked_whatever_its_health():
    assert json.loads(service_config("127.0.0.1:9081")).keys() == {"methodConfig"}
    for shared in ("127.0.0.1:1,127.0.0.1:2", "dns:later.example:9081"):
        assert json.loads(service_config(shared))["healthCheckConfig"] == {"serviceName": ""}


@pytest.mark.parametrize("address", ["a.example:1,b.example:1", "127.0.0.1:1,[::1]:1"])
def test_several_addresses_that_grpc_cannot_share_out_are_refused(address: str):
    with pytest.raises(ValueError, match="all be IPv4 or all IPv6"):
        open_channel(address)


def test_several_addresses_over_tls_need_a_name():
    with pytest.raises(ValueError, match="tls_server_name"):
        open_channel("127.0.0.1:1,127.0.0.1:2", ClientTls())


class Flaky(grpc.aio.ServerInterceptor):
    """A server whose first calls of each method end as a broken connection does."""

    def __init__(self, failures: int, code: grpc.StatusCode) -> None:
        self.failures = failures
        self.code = code
        self.calls: dict[str, list[bytes]] = {}

    async def intercept_service(self, continuation, details):
        async def answer(request: bytes, context) -> bytes:
            calls = self.calls.setdefault(details.method.rpartition("/")[2], [])
            calls.append(request)
            if len(calls) <= self.failures:
                await context.abort(self.code, "cut")
            return pb.CreateInstanceResponse().SerializeToString()

        return grpc.unary_unary_rpc_method_handler(answer)


@asynccontextmanager
async def flaky(failures: int, code: grpc.StatusCode = grpc.StatusCode.UNAVAILABLE):
    interceptor = Flaky(failures, code)
    server = grpc.aio.server(interceptors=[interceptor])
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with Client(f"127.0.0.1:{port}") as client:
        yield client, interceptor
    await server.stop(None)


async def test_a_create_is_repeated_with_the_id_it_was_given_first():
    async with flaky(2) as (client, server):
        await client._call(client._instances.CreateInstance, pb.CreateInstanceRequest(id="x"))
        assert len(server.calls["CreateInstance"]) == 3
    async with flaky(3) as (client, server):
        with pytest.raises(RpcError):
            await client.create(NewInstance(task="echo"))
        sent = [
            pb.CreateInstanceRequest.FromString(each) for each in server.calls["CreateInstance"]
        ]
        assert len(sent) == 3
        assert len({each.id for each in sent}) == 1
        assert sent[0].id


@pytest.mark.parametrize("code", [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED])
async def test_an_abort_is_sent_once(code: grpc.StatusCode):
    async with flaky(1, code) as (client, server):
        with pytest.raises(RpcError) as caught:
            await client.abort("x")
        assert caught.value.code == "UNAVAILABLE"
        assert len(server.calls["AbortInstance"]) == 1


async def test_what_a_stopped_server_did_not_take_up_is_repeated():
    async with flaky(2, grpc.StatusCode.CANCELLED) as (client, server):
        await client._call(client._instances.GetInstance, pb.GetInstanceRequest(id="x"))
        assert len(server.calls["GetInstance"]) == 3


async def test_a_call_that_meets_a_server_as_it_is_stopped_is_told_so(serving):
    reasons: Counter[str] = Counter()

    async def call(client: Client) -> None:
        while True:
            with pytest.raises(RpcError) as caught:
                await client.abort("nobody")
            if caught.value.code != "NOT_FOUND":
                assert caught.value.code == "UNAVAILABLE"
                reasons[caught.value.reason] += 1
                return

    async with asyncio.timeout(60):
        while "SERVER_STOPPING" not in reasons:
            async with (
                AsyncExitStack() as clients,
                asyncio.TaskGroup() as calls,
                serving() as address,  # is stopped first, while the calls go on
            ):
                client = await clients.enter_async_context(Client(address))
                for _ in range(20):
                    calls.create_task(call(client))
                await client.stats()


class Member:
    """One server of several: its health can be set, and it counts the calls that reach it."""

    def __init__(self) -> None:
        self.health = aio.HealthServicer()
        self.calls = 0
        self.server = grpc.aio.server()
        health_pb2_grpc.add_HealthServicer_to_server(self.health, self.server)
        handlers = {"GetInstance": grpc.unary_unary_rpc_method_handler(self._get)}
        self.server.add_registered_method_handlers("later.v1.InstanceService", handlers)
        self.port = self.server.add_insecure_port("127.0.0.1:0")

    async def _get(self, request: bytes, context) -> bytes:
        self.calls += 1
        instance = pb.Instance(id="x", state=pb.STATE_PENDING)
        return pb.GetInstanceResponse(instance=instance).SerializeToString()

    async def set_serving(self, *, serving: bool) -> None:
        status = health_pb2.HealthCheckResponse
        await self.health.set("", status.SERVING if serving else status.NOT_SERVING)


@pytest.fixture
async def members():
    async with AsyncExitStack() as stack:
        members = [Member(), Member()]
        for member in members:
            await member.set_serving(serving=True)
            await member.server.start()
            stack.push_async_callback(member.server.stop, None)
        address = ",".join(f"127.0.0.1:{member.port}" for member in members)
        yield members, await stack.enter_async_context(Client(address))


async def until_only(client: Client, wanted: set[int], members: list[Member]) -> None:
    """Call until, of a round of calls, each of these has had some and nobody else any."""
    async with asyncio.timeout(30):
        while True:
            before = [member.calls for member in members]
            for _ in range(4):
                await client.get("x")
            after = zip(before, members, strict=True)
            if {n for n, (old, member) in enumerate(after) if member.calls > old} == wanted:
                return


async def test_calls_go_round_the_servers_that_are_healthy(members):
    members, client = members
    await until_only(client, {0, 1}, members)
    await members[0].set_serving(serving=False)
    await until_only(client, {1}, members)
    await members[0].set_serving(serving=True)
    await until_only(client, {0, 1}, members)


async def test_calls_go_to_the_one_that_is_left(members):
    members, client = members
    await until_only(client, {0, 1}, members)
    await members[1].server.stop(None)
    await until_only(client, {0}, members)


async def test_where_no_server_is_healthy_the_client_says_so(members):
    members, client = members
    for member in members:
        await member.set_serving(serving=False)
    async with asyncio.timeout(30):
        while True:
            try:
                await client.get("x")
            except RpcError as error:
                if error.reason == SERVERS_NOT_SERVING:
                    return


async def test_several_servers_over_tls(serving, authority):
    papers = authority.issue("localhost")
    transport = Transport(tls=ServerTls(cert=papers.cert, key=papers.key))
    tls = ClientTls(ca=authority.roots, server_name="localhost")
    async with (
        serving(transport=transport) as first,
        serving(transport=transport) as second,
        Client(f"{first},{second}", tls=tls) as client,
    ):
        nodes = set()
        async with asyncio.timeout(30):
            while len(nodes) < 2:
                nodes.add((await client.stats()).node)
