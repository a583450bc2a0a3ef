"""The client with a token: on every call, and never where it could be read along."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from later_core.client.client import Client
from later_core.client.errors import RpcError
from later_core.errors import TokenUnprotected
from later_core.model.audit import AuditFilter
from later_core.model.instance import NewInstance
from later_core.model.permission import Role
from later_core.model.principal import Means
from later_core.model.quota import Quota
from later_core.model.standing import Standing
from later_core.model.tls import ClientTls
from later_core.model.token import NewToken

SECRET = "s" * 40
GUARDED = {"auth": "token", "admin_token": SECRET}


async def test_every_kind_of_call_carries_the_token(serving, far):
    async with (
        serving(flags=GUARDED) as address,
        Client(address, token=SECRET) as admin,
    ):
        token, secret = await admin.create_token(
            NewToken(name="ci", roles=(Role.SCHEDULER,)), lifetime=timedelta(hours=1)
        )
        async with Client(address, token=secret) as client:
            assert (await client.create(far("a"))).principal == "ci"
            await client.create_many([far("b")])
            assert [instance.id async for instance in client.list()] == ["a", "b"]
            assert [s async for s in client.list_schedules()] == []
            assert await client.health()
            batch = await anext(client.watch(include_existing=True))
            assert {event.instance.id for event in batch.events if event.instance} == {"a", "b"}
        assert [one.id async for one in admin.tokens()] == [token.id]
        assert (await admin.revoke_token(token.id)).revoke_time is not None


async def test_the_log_is_read_to_its_end(serving, far):
    async with serving(flags=GUARDED) as address, Client(address, token=SECRET) as admin:
        for number in range(5):
            await admin.create(far(f"i{number}"))
        mine = AuditFilter(principal="admin-token")
        async with asyncio.timeout(30):
            while len(found := [e.target async for e in admin.audit(mine, page_size=2)]) < 5:
                pass
        assert found == ["i4", "i3", "i2", "i1", "i0"]


@pytest.mark.parametrize("token", [None, "wrong"])
async def test_who_is_not_let_in_is_told_what_to_do(serving, token):
    async with serving(flags=GUARDED) as address, Client(address, token=token) as client:
        with pytest.raises(RpcError) as raised:
            await client.create(NewInstance(task="echo"))
        assert (raised.value.code, raised.value.reason) == ("UNAUTHENTICATED", "UNAUTHENTICATED")
        assert ("LATER_TOKEN" in raised.value.message) is (token is None)


@pytest.mark.parametrize("address", ["later.example:9081", "10.0.0.7:9081", "dns:///later:1"])
async def test_a_token_is_not_sent_unencrypted_to_another_machine(address):
    with pytest.raises(TokenUnprotected) as raised:
        async with Client(address, token=SECRET):
            pass
    assert SECRET not in str(raised.value)
    async with Client(address, token=SECRET, tls=ClientTls()), Client(address):
        pass
    async with Client(address, token=SECRET, insecure=True):
        pass


@pytest.mark.parametrize("address", ["127.0.0.1:9081", "[::1]:9081", "localhost:1", "unix:/tmp/x"])
async def test_on_this_machine_it_is_sent_as_it_is(address):
    async with Client(address, token=SECRET):
        pass


async def test_the_client_learns_who_it_is(serving):
    async with serving(flags=GUARDED) as address, Client(address, token=SECRET) as admin:
        new = NewToken(
            name="ci", roles=(Role.SCHEDULER,), tasks=("http-*",), quota=Quota(max_pending=9)
        )
        token, secret = await admin.create_token(new, lifetime=timedelta(hours=1))
        async with Client(address, token=secret) as client:
            standing = await client.who_am_i()
        # What bounds it is told as it is in force, not as its token says it.
        holder = replace(token.to_principal(), quota=None)
        assert standing == Standing(principal=holder, max_pending=9)


async def test_where_nobody_is_asked_the_client_may_do_everything(serving):
    async with serving() as address, Client(address) as client:
        standing = await client.who_am_i()
    assert standing.principal.credential.means is Means.NONE
    assert standing.principal.may("run-whatever")
    assert (standing.create_rate, standing.max_pending) == (None, None)
