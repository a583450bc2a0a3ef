"""The server over TLS: what it shows, whom it lets in, and how it takes a renewed certificate."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import grpc
import pytest
from structlog.testing import capture_logs

from later_core.errors import CertificateUnusable
from later_core.model.tls import ServerTls
from later_core.rpc.transport import Transport
from later_core.rpc.v1 import later_pb2 as pb
from later_core.rpc.v1.later_pb2_grpc import InstanceServiceStub, TaskServiceStub

LISTED = ["bash", "echo"]


def tls_of(papers, client_ca=None):
    return Transport(tls=ServerTls(cert=papers.cert, key=papers.key, client_ca=client_ca))


def read(path):
    return Path(path).read_bytes()


def write(path, data):
    Path(path).write_bytes(data)


def remove(path):
    Path(path).unlink()


@asynccontextmanager
async def channel_to(served, roots, papers=None):
    shown = (read(papers.key), read(papers.cert)) if papers else ()
    credentials = grpc.ssl_channel_credentials(read(roots), *shown)
    async with grpc.aio.secure_channel(served.server.address, credentials) as channel:
        yield channel


async def list_tasks(channel):
    answer = await TaskServiceStub(channel).ListTasks(pb.ListTasksRequest(), timeout=20)
    return [task.name for task in answer.tasks]


async def shown_by(served):
    """The certificate that a new connection is shown, in PEM."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    host, _, port = served.server.address.rpartition(":")
    _, writer = await asyncio.open_connection(host, int(port), ssl=context)
    der = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.transport.abort()
    return ssl.DER_cert_to_PEM_cert(der)


def certificate_in(papers):
    return ssl.DER_cert_to_PEM_cert(ssl.PEM_cert_to_DER_cert(read(papers.cert).decode()))


async def test_a_client_that_trusts_the_root_is_served(serve, authority):
    async with (
        serve(transport=tls_of(authority.issue())) as served,
        channel_to(served, authority.roots) as channel,
    ):
        assert await list_tasks(channel) == LISTED


async def test_the_text_itself_serves_as_well_as_a_file(serve, authority):
    papers = authority.issue()
    texts = ServerTls(
        cert=read(papers.cert).decode(),
        key=read(papers.key).decode(),
        client_ca=read(authority.roots).decode(),
    )
    async with (
        serve(transport=Transport(tls=texts)) as served,
        channel_to(served, authority.roots, authority.issue("me")) as channel,
    ):
        assert await list_tasks(channel) == LISTED


async def test_nothing_is_served_unencrypted(serve, authority):
    async with serve(transport=tls_of(authority.issue())) as served:
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await list_tasks(served.channel)
        assert raised.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_with_a_client_ca_only_its_clients_are_let_in(serve, authority, other_authority):
    async with serve(transport=tls_of(authority.issue(), authority.roots)) as served:
        async with channel_to(served, authority.roots, authority.issue("me")) as channel:
            assert await list_tasks(channel) == LISTED
        for papers in (None, other_authority.issue("me")):
            async with channel_to(served, authority.roots, papers) as channel:
                with pytest.raises(grpc.aio.AioRpcError) as raised:
                    await list_tasks(channel)
                assert raised.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_a_renewed_certificate_is_shown_to_new_connections_and_old_streams_live_on(
    serve, authority
):
    papers, renewed = authority.issue(), authority.issue()
    before, after = certificate_in(papers), certificate_in(renewed)
    async with (
        asyncio.timeout(30),
        serve(transport=tls_of(papers)) as served,
        channel_to(served, authority.roots) as channel,
    ):
        watch = InstanceServiceStub(channel).WatchInstances(pb.WatchInstancesRequest())
        await watch.read()
        assert await shown_by(served) == before
        papers.renew(renewed)
        with capture_logs() as logs:
            assert await shown_by(served) == after
            assert await shown_by(served) == after
        assert [entry["event"] for entry in logs] == ["certificate renewed"]
        async with channel_to(served, authority.roots) as new:
            create = pb.CreateInstanceRequest(task="echo", id="seen")
            await InstanceServiceStub(new).CreateInstance(create, timeout=20)
        while not (batch := await watch.read()).events:
            pass
        assert batch.events[0].instance.id == "seen"


async def test_a_renewed_client_ca_holds_too(serve, authority, other_authority):
    roots = Path(authority.roots)
    trusted = read(roots)
    async with serve(transport=tls_of(authority.issue(), authority.roots)) as served:
        newcomer = other_authority.issue("me")
        server_roots = roots.with_name("of-the-server.pem")
        write(server_roots, trusted)
        async with channel_to(served, server_roots, newcomer) as channel:
            with pytest.raises(grpc.aio.AioRpcError):
                await list_tasks(channel)
        write(roots, trusted + read(other_authority.roots))
        async with channel_to(served, server_roots, newcomer) as channel:
            assert await list_tasks(channel) == LISTED


async def test_a_broken_renewal_keeps_the_old_certificate_and_is_told_once(serve, authority):
    papers, renewed = authority.issue(), authority.issue()
    before, after = certificate_in(papers), certificate_in(renewed)
    async with serve(transport=tls_of(papers)) as served:
        # As between the two steps of a renewal: the new certificate beside the old key.
        write(papers.cert, read(renewed.cert))
        with capture_logs() as logs:
            assert await shown_by(served) == before
            assert await shown_by(served) == before
        (entry,) = logs
        assert entry["log_level"] == "error"
        assert entry["detail"] == (
            "LATER_TLS_CERT: the certificate and the key do not belong together"
        )
        remove(papers.key)
        with capture_logs() as logs:
            assert await shown_by(served) == before
        assert "cannot read" in logs[0]["detail"]
        write(papers.key, read(renewed.key))
        assert await shown_by(served) == after


def damaged(pem):
    lines = pem.splitlines()
    return b"\n".join([lines[0], b"AAAA" + lines[1][4:], *lines[2:]])


@pytest.mark.parametrize(
    ("field", "text", "complaint"),
    [
        (
            "cert",
            "/nowhere/cert.pem",
            "LATER_TLS_CERT: cannot read /nowhere/cert.pem: No such file",
        ),
        ("key", "/nowhere/key.pem", "LATER_TLS_KEY: cannot read /nowhere/key.pem: No such file"),
        ("client_ca", "/nowhere/ca", "LATER_TLS_CLIENT_CA: cannot read /nowhere/ca: No such file"),
        ("cert", "key", "LATER_TLS_CERT: there is no certificate in PEM form in /"),
        ("key", "cert", "LATER_TLS_KEY: there is no private key in PEM form in /"),
        ("cert", "other", "LATER_TLS_CERT: the certificate and the key do not belong together"),
        ("cert", "damaged", "LATER_TLS_CERT: the certificate or its key is damaged"),
        ("client_ca", "damaged", "LATER_TLS_CLIENT_CA: a certificate is damaged"),
        ("key", "locked", "LATER_TLS_KEY: the key is locked by a passphrase"),
    ],
)
async def test_what_cannot_be_used_is_refused_in_one_line(
    serve, authority, tmp_path, field, text, complaint
):
    papers = authority.issue()
    write(tmp_path / "damaged", damaged(read(papers.cert)))
    (tmp_path / "locked").write_text(
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n"
    )
    known = {
        "key": papers.key,
        "cert": papers.cert,
        "other": authority.issue().cert,
        "damaged": str(tmp_path / "damaged"),
        "locked": str(tmp_path / "locked"),
    }
    tls = ServerTls(cert=papers.cert, key=papers.key, client_ca=authority.roots)
    with pytest.raises(ExceptionGroup) as raised:
        async with serve(transport=Transport(tls=replace(tls, **{field: known.get(text, text)}))):
            raise AssertionError
    assert raised.group_contains(CertificateUnusable, match=complaint)


def test_a_key_is_not_shown_with_the_rest():
    assert "secret" not in repr(ServerTls(cert="a.pem", key="secret"))
