"""``later top`` over TLS, with a token, and with a role that may only read."""

from __future__ import annotations

from datetime import timedelta

from later_core.client.client import Client
from later_core.model.instance import NewInstance
from later_core.model.permission import Role
from later_core.model.state import State
from later_core.model.tls import ClientTls, ServerTls
from later_core.model.token import NewToken
from later_core.rpc.transport import Transport

SECRET = "s" * 40
GUARDED = {"auth": "token", "admin_token": SECRET}


async def test_over_tls_a_viewer_sees_everything_and_after_one_refusal_is_offered_nothing_more(
    serving, top, authority
):
    papers = authority.issue()
    transport = Transport(tls=ServerTls(cert=papers.cert, key=papers.key, client_ca=None))
    tls = ClientTls(ca=authority.roots)
    async with (
        serving(flags=GUARDED, transport=transport) as address,
        Client(address, tls=tls, token=SECRET) as admin,
    ):
        await admin.create(NewInstance(id="mine", task="echo", delay=timedelta(hours=3)))
        viewer = NewToken(name="eve", roles=(Role.VIEWER,))
        _, secret = await admin.create_token(viewer, lifetime=timedelta(hours=1))
        async with Client(address, tls=tls, token=secret) as client, top(client) as terminal:
            await terminal.sees("mine", "PENDING 1", "a Abort")
            await terminal.focus("due")
            await terminal.press("a")
            await terminal.sees("Abort mine")
            await terminal.press("y")
            await terminal.sees("may not do this", "read-only")
            await terminal.until(lambda text: "a Abort" not in text, "no key for it")
        assert (await admin.get("mine")).state is State.PENDING


async def test_a_scheduler_may_steer(serving, top):
    async with serving(flags=GUARDED) as address, Client(address, token=SECRET) as admin:
        await admin.create(NewInstance(id="mine", task="echo", delay=timedelta(hours=3)))
        scheduler = NewToken(name="bob", roles=(Role.SCHEDULER,))
        _, secret = await admin.create_token(scheduler, lifetime=timedelta(hours=1))
        async with Client(address, token=secret) as client, top(client) as terminal:
            await terminal.sees("mine")
            await terminal.focus("due")
            await terminal.press("a")
            await terminal.sees("Abort mine")
            await terminal.press("y")
            await terminal.sees("mine is aborted", "a Abort")
