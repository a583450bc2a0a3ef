"""The client over TLS, and what it says where no encrypted connection comes about."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from later_core.client.client import Client
from later_core.client.errors import CONNECTION_AGED, SERVER_UNREACHABLE, RpcError, TlsFailed
from later_core.errors import CertificateUnusable
from later_core.model.tls import ClientTls, ServerTls
from later_core.rpc.transport import Transport

YEARS = timedelta(days=1000)


def encrypted(papers, client_ca=None):
    return Transport(tls=ServerTls(cert=papers.cert, key=papers.key, client_ca=client_ca))


def read(path):
    return Path(path).read_bytes()


def write(path, data):
    Path(path).write_bytes(data)


async def failure_of(address, tls):
    with pytest.raises(RpcError) as raised:
        async with Client(address, tls=tls) as client:
            await client.stats()
    return raised.value


async def test_with_the_root_of_the_server(serving, authority):
    async with (
        serving(transport=encrypted(authority.issue())) as address,
        Client(address, tls=ClientTls(ca=authority.roots)) as client,
    ):
        assert await client.health()


async def test_with_the_roots_of_the_machine(serving, authority, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", authority.roots)
    async with (
        serving(transport=encrypted(authority.issue())) as address,
        Client(address, tls=ClientTls()) as client,
    ):
        assert await client.health()


async def test_with_a_certificate_of_its_own(serving, authority):
    own = authority.issue("me")
    tls = ClientTls(ca=authority.roots, cert=own.cert, key=own.key)
    async with (
        serving(transport=encrypted(authority.issue(), authority.roots)) as address,
        Client(address, tls=tls) as client,
    ):
        assert await client.health()


async def test_by_another_name_than_that_of_the_address(serving, authority):
    tls = ClientTls(ca=authority.roots, server_name="later.example")
    async with (
        serving(transport=encrypted(authority.issue("later.example"))) as address,
        Client(address, tls=tls) as client,
    ):
        assert await client.health()


async def test_renewed_files_hold_from_the_next_connection_on(
    serving, authority, other_authority, far
):
    own, new = authority.issue("me"), other_authority.issue("me")
    server_roots = authority.issue()
    tls = ClientTls(ca=authority.roots, cert=own.cert, key=own.key)
    async with serving(transport=encrypted(server_roots, authority.roots)) as address:
        client = Client(address, tls=tls)
        async with client, asyncio.timeout(30):
            watch = client.watch()
            await anext(watch)
            own.renew(new)  # which the server does not trust
            with pytest.raises(TlsFailed):
                await client.create(far("refused"))
            write(authority.roots, read(authority.roots) + read(other_authority.roots))
            await client.create(far("seen"))
            # The stream began with what the files held then, and lives on.
            while not (batch := await anext(watch)).events:
                pass
            assert batch.events[0].instance.id == "seen"
            await watch.aclose()


async def test_half_a_renewal_changes_nothing(serving, authority):
    own = authority.issue("me")
    tls = ClientTls(ca=authority.roots, cert=own.cert, key=own.key)
    async with (
        serving(transport=encrypted(authority.issue(), authority.roots)) as address,
        Client(address, tls=tls) as client,
    ):
        write(own.cert, read(authority.issue("me").cert))
        assert await client.health()


async def test_a_plain_client_is_told_that_the_server_speaks_tls(serving, authority):
    for client_ca in (None, authority.roots):
        async with serving(transport=encrypted(authority.issue(), client_ca)) as address:
            failure = await failure_of(address, None)
            assert failure.reason == "TLS_REQUIRED"
            assert "--tls" in str(failure)


async def test_a_client_with_tls_is_told_that_the_server_speaks_none(serving, authority):
    async with serving() as address:
        failure = await failure_of(address, ClientTls(ca=authority.roots))
    assert failure.reason == "TLS_NOT_SPOKEN"
    assert "leave out --tls" in str(failure)


async def test_an_unknown_root_is_named_as_such(serving, authority, other_authority):
    async with serving(transport=encrypted(authority.issue())) as address:
        for tls in (ClientTls(ca=other_authority.roots), ClientTls()):
            failure = await failure_of(address, tls)
            assert failure.reason == "CERTIFICATE_UNTRUSTED"
            assert "--tls-ca" in str(failure)


@pytest.mark.parametrize(("begin", "end"), [(-2, -1), (1, 2)], ids=["expired", "not yet valid"])
async def test_a_certificate_out_of_date_is_named_as_such(serving, authority, begin, end):
    now = datetime.now(UTC)  # noqa: TID251 - certificates are judged by the machine's own clock
    papers = authority.issue(not_before=now + begin * YEARS, not_after=now + end * YEARS)
    async with serving(transport=encrypted(papers)) as address:
        failure = await failure_of(address, ClientTls(ca=authority.roots))
    assert failure.reason == "CERTIFICATE_OUT_OF_DATE"
    assert "renew" in str(failure)


@pytest.mark.parametrize("name", [None, "other.example"])
async def test_a_certificate_for_another_host_is_named_as_such(serving, authority, name):
    async with serving(transport=encrypted(authority.issue("later.example"))) as address:
        failure = await failure_of(address, ClientTls(ca=authority.roots, server_name=name))
    assert failure.reason == "SERVER_NAME_MISMATCH"
    assert (name or "127.0.0.1") in str(failure)


async def test_a_client_without_a_certificate_is_told_that_it_needs_one(serving, authority):
    async with serving(transport=encrypted(authority.issue(), authority.roots)) as address:
        failure = await failure_of(address, ClientTls(ca=authority.roots))
    assert failure.reason == "CLIENT_CERTIFICATE_REQUIRED"
    assert "--tls-client-cert" in str(failure)


async def test_a_client_with_a_stranger_s_certificate_is_told_so(
    serving, authority, other_authority
):
    own = other_authority.issue("me")
    async with serving(transport=encrypted(authority.issue(), authority.roots)) as address:
        tls = ClientTls(ca=authority.roots, cert=own.cert, key=own.key)
        failure = await failure_of(address, tls)
    assert failure.reason == "CLIENT_CERTIFICATE_REFUSED"
    assert "LATER_TLS_CLIENT_CA" in str(failure)


async def test_where_nobody_listens_tls_is_not_blamed(authority):
    for tls in (None, ClientTls(ca=authority.roots)):
        failure = await failure_of("127.0.0.1:1", tls)
        assert failure.reason == SERVER_UNREACHABLE
        assert not isinstance(failure, TlsFailed)


async def test_files_that_cannot_be_used_are_named(authority, tmp_path):
    own = authority.issue("me")
    for tls, complaint in [
        (ClientTls(ca="/nowhere/ca.pem"), "LATER_TLS_CA: cannot read /nowhere/ca.pem"),
        (ClientTls(ca=own.key), "LATER_TLS_CA: there is no certificate in PEM form"),
        (
            ClientTls(cert=own.cert, key=authority.issue().key),
            "LATER_TLS_CLIENT_CERT: the certificate and the key do not belong together",
        ),
    ]:
        with pytest.raises(CertificateUnusable, match=complaint):
            async with Client("127.0.0.1:1", tls=tls):
                raise AssertionError


async def test_a_watch_outlives_the_age_of_its_connection(serving, far):
    short = timedelta(seconds=1)
    breaks = []
    async with (
        asyncio.timeout(40),
        serving(transport=Transport(age=short, grace=short)) as address,
        Client(address) as client,
    ):
        created, seen = set(), []
        batches = client.watch(on_break=lambda error, pause: breaks.append(error))
        async for batch in batches:
            seen += [event.instance.id for event in batch.events]
            if "2" in seen:
                break
            if (id := str(len(breaks))) not in created:
                created.add(id)
                await client.create(far(id))
        await batches.aclose()
    assert seen == ["0", "1", "2"]
    assert {error.reason for error in breaks} == {CONNECTION_AGED}
