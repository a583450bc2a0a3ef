"""Who calls, with which token, within which scope, and what status that is answered with."""

from __future__ import annotations

import grpc
import pytest
from grpc_channelz.v1 import channelz_pb2
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

from later_core.rpc.v1 import later_pb2 as pb

DAILY = pb.ScheduleRule(cron=pb.CronRule(expression="@daily"))
OUT = {grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED}
CONFINED = {"tasks": ["http-*"], "labels": {"team": "web*"}}
WITHIN = {"task": "http-post", "labels": {"team": "web-eu"}}
OUTSIDE = [
    {"task": "echo", "labels": {"team": "web"}},
    {"task": "http-post", "labels": {"team": "mail"}},
    {"task": "http-post"},
]


def bearer(secret):
    return (("authorization", f"Bearer {secret}"),)


async def make_token(served, admin_secret, **fields):
    request = pb.CreateTokenRequest(name=fields.pop("name", "ci"), **fields)
    return await served.admin.CreateToken(request, metadata=bearer(admin_secret))


async def refused(call, refusal):
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call
    return refusal(raised.value)


def every_method():
    """Path -> descriptor of whatever the server offers, by the descriptors of its services."""
    services = [
        *pb.DESCRIPTOR.services_by_name.values(),
        health_pb2.DESCRIPTOR.services_by_name["Health"],
        channelz_pb2.DESCRIPTOR.services_by_name["Channelz"],
        reflection_pb2.DESCRIPTOR.services_by_name["ServerReflection"],
    ]
    found = {f"/{s.full_name}/{method.name}": method for s in services for method in s.methods}
    (alpha,) = [path for path in found if "v1alpha" in path]
    return found | {alpha.replace("v1alpha", "v1"): found[alpha]}


async def ask(served, path, metadata=()):
    """The status of a call with an empty request, whatever its kind."""
    method = every_method()[path]
    kind = f"{'stream' if method.client_streaming else 'unary'}_" + (
        "stream" if method.server_streaming else "unary"
    )
    call = getattr(served.channel, kind)(path)
    answer = call(iter([b""]) if method.client_streaming else b"", metadata=metadata, timeout=30)
    try:
        if method.server_streaming and not method.client_streaming:
            # Let in: it says so at once, and then waits for something to happen.
            await answer.initial_metadata()
            if not answer.done():
                answer.cancel()
                return grpc.StatusCode.OK
            return await answer.code()
        if method.server_streaming:
            async for _ in answer:
                pass
        else:
            await answer
    except grpc.aio.AioRpcError as error:
        return error.code()
    return grpc.StatusCode.OK
