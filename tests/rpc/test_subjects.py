"""Callers by client certificate: the name in it, and what the bindings give to that name."""

from __future__ import annotations

from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import pytest

from later_core.model.binding import parse_binding
from later_core.model.tls import ServerTls
from later_core.rpc.transport import Transport
from later_core.rpc.v1 import later_pb2 as pb
from later_core.rpc.v1.later_pb2_grpc import AdminServiceStub, InstanceServiceStub

BINDINGS = [parse_binding(text) for text in ("ci*=scheduler", "*.ops.example=operator")]


def read(*paths):
    return [Path(path).read_bytes() for path in paths]


@asynccontextmanager
async def shown(serve, authority, *names, common_name=None):
    """A channel on which a certificate for these names is shown."""
    server = authority.issue()
    mine = authority.issue(*names, common_name=common_name)
    transport = Transport(
        tls=ServerTls(cert=server.cert, key=server.key, client_ca=authority.roots)
    )
    async with serve(guarded=True, transport=transport, bindings=BINDINGS) as served:
        credentials = grpc.ssl_channel_credentials(*read(authority.roots, mine.key, mine.cert))
        async with grpc.aio.secure_channel(served.server.address, credentials) as channel:
            yield channel


async def create(channel, metadata=()):
    answer = await InstanceServiceStub(channel).CreateInstance(
        pb.CreateInstanceRequest(task="echo"), metadata=metadata, timeout=30
    )
    return answer.instance.principal


async def test_the_common_name_is_the_principal(serve, authority):
    async with shown(serve, authority, "x.example", common_name="ci-7") as channel:
        assert await create(channel) == "ci-7"
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await AdminServiceStub(channel).ListAuditEntries(pb.ListAuditEntriesRequest())
        assert raised.value.code() is grpc.StatusCode.PERMISSION_DENIED


async def test_without_a_common_name_the_first_alternative_one_is(serve, authority):
    async with shown(serve, authority, "a.ops.example", "ci") as channel:
        assert await create(channel) == "a.ops.example"
        await AdminServiceStub(channel).ListAuditEntries(pb.ListAuditEntriesRequest())


async def test_a_name_that_no_binding_knows_is_nobody(serve, authority):
    async with shown(serve, authority, "a.example", common_name="stranger") as channel:
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await create(channel)
        assert raised.value.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_a_token_is_judged_alone_whatever_certificate_it_comes_with(
    serve, authority, admin_secret
):
    async with shown(serve, authority, "x.example", common_name="ci-7") as channel:
        bearing = (("authorization", f"Bearer {admin_secret}"),)
        assert await create(channel, bearing) == "admin-token"
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await create(channel, (("authorization", "Bearer wrong"),))
        assert raised.value.code() is grpc.StatusCode.UNAUTHENTICATED
