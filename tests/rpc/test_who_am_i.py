"""Who the caller is, as the server tells it: by each means, and where nobody is asked."""

from __future__ import annotations

import asyncio

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration

from later_core.local.pending import PendingLimits
from later_core.local.quotas import Quotas
from later_core.model.permission import ROLE_PERMISSIONS, UNCONFINED_ONLY, Permission, Role
from later_core.model.rate import parse_rate
from later_core.rpc.v1 import later_pb2 as pb
from later_core.rpc.v1.later_pb2_grpc import AdminServiceStub

ME = pb.WhoAmIRequest()
VIEWER = sorted(ROLE_PERMISSIONS[Role.VIEWER])


def bearer(secret):
    return (("authorization", f"Bearer {secret}"),)


async def made(served, admin_secret, **fields):
    request = pb.CreateTokenRequest(name="ci", **fields)
    return await served.admin.CreateToken(request, metadata=bearer(admin_secret))


async def nobody(principal, most):
    raise AssertionError("nothing is counted for who only asks who he is")


def bounds(rate="5/s+50", pending=7):
    return Quotas(
        rates={"*": parse_rate(rate)}, pending=PendingLimits(count=nobody, limits={"*": pending})
    )


async def test_a_token_is_told_all_that_it_says(serve, admin_secret):
    async with serve(guarded=True, quotas=bounds()) as served:
        token = await made(
            served,
            admin_secret,
            roles=[pb.ROLE_ADMIN, pb.ROLE_VIEWER],
            tasks=["http-*"],
            labels={"team": "web*"},
            permissions=["run-shell"],
            lifetime=Duration(seconds=3600),
            create_rate="10/s+100",
            max_pending=-1,
        )
        answer = await served.admin.WhoAmI(ME, metadata=bearer(token.secret))
    confined = ROLE_PERMISSIONS[Role.ADMIN] - UNCONFINED_ONLY
    assert answer == pb.WhoAmIResponse(
        principal="ci",
        means=pb.MEANS_TOKEN,
        token_id=token.token.id,
        roles=[pb.ROLE_VIEWER, pb.ROLE_ADMIN],
        permissions=sorted({*confined, "run-shell"}),
        tasks=["http-*"],
        labels={"team": "web*"},
        expire_time=token.token.expire_time,
        create_rate="10/1s+100",
        max_pending=-1,
    )
    assert token.secret not in str(answer)


async def test_what_the_token_does_not_say_the_settings_say(serve, admin_secret):
    async with serve(guarded=True, quotas=bounds()) as served:
        token = await made(served, admin_secret, roles=[pb.ROLE_VIEWER])
        answer = await served.admin.WhoAmI(ME, metadata=bearer(token.secret))
    assert (answer.create_rate, answer.max_pending) == ("5/1s+50", 7)
    assert not answer.HasField("expire_time")
    assert list(answer.permissions) == VIEWER


async def test_the_admin_token_is_told_from_those_that_were_made(serve, admin_secret):
    async with serve(guarded=True) as served:
        answer = await served.admin.WhoAmI(ME, metadata=bearer(admin_secret))
    assert answer == pb.WhoAmIResponse(
        principal="admin-token",
        means=pb.MEANS_ADMIN_TOKEN,
        roles=[pb.ROLE_ADMIN],
        permissions=sorted(Permission),
        create_rate="none",
        max_pending=-1,
    )


@pytest.mark.parametrize(("means", "told"), [("jwt", "JWT"), ("certificate", "CERTIFICATE")])
async def test_a_name_that_others_gave_out_has_what_its_binding_says(calling, means, told):
    async with calling(means, "ci-*=viewer+run-shell", quotas=bounds()) as caller:
        answer = await AdminServiceStub(caller.channel).WhoAmI(ME, metadata=caller.metadata)
    expires = answer.expire_time.seconds
    answer.ClearField("expire_time")
    assert answer == pb.WhoAmIResponse(
        principal="ci-7",
        means=f"MEANS_{told}",
        roles=[pb.ROLE_VIEWER],
        permissions=sorted([*VIEWER, "run-shell"]),
        create_rate="5/1s+50",
        max_pending=7,
    )
    assert expires == (4_102_444_800 if means == "jwt" else 0)


async def test_a_jwt_that_outlives_time_is_one_that_does_not_expire(calling):
    async with calling("jwt", "ci-*=viewer", claims={"exp": 10**18}) as caller:
        answer = await AdminServiceStub(caller.channel).WhoAmI(ME, metadata=caller.metadata)
    assert answer.principal == "ci-7"
    assert not answer.HasField("expire_time")


async def test_where_nobody_is_asked_it_says_so(serve):
    async with serve(quotas=bounds()) as served:
        answer = await served.admin.WhoAmI(ME)
    assert answer == pb.WhoAmIResponse(
        means=pb.MEANS_NONE, permissions=sorted(Permission), create_rate="5/1s+50", max_pending=7
    )


async def test_strangers_are_not_told_that_they_are_strangers(serve):
    async with serve(guarded=True) as served:
        for metadata in ((), bearer("wrong")):
            with pytest.raises(grpc.aio.AioRpcError) as raised:
                await served.admin.WhoAmI(ME, metadata=metadata)
            assert raised.value.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_to_ask_changes_nothing_and_is_not_noted(serve, admin_secret):
    async with serve(guarded=True) as served:
        await served.admin.WhoAmI(ME, metadata=bearer(admin_secret))
        token = await made(served, admin_secret, roles=[pb.ROLE_VIEWER])
        entries = []
        async with asyncio.timeout(30):
            while not entries:
                page = await served.admin.ListAuditEntries(
                    pb.ListAuditEntriesRequest(), metadata=bearer(admin_secret)
                )
                entries = [(entry.method, entry.target) for entry in page.entries]
    assert entries == [("CreateToken", token.token.id)]
