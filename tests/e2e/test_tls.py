"""A real server over TLS, with the real grpcurl, the command and the client."""

from __future__ import annotations

import asyncio
import os
import ssl
import sys
from asyncio.subprocess import PIPE
from contextlib import aclosing
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from later_core.client.client import Client
from later_core.model.instance import NewInstance
from later_core.model.tls import ClientTls
from later_core.ports.clock import SystemClock

CLOCK = SystemClock()
LATER = (sys.executable, "-m", "later_core.cli")


@dataclass(frozen=True)
class Said:
    code: int
    out: str
    err: str


async def run(*words: str, directory: Path, **variables: str) -> Said:
    mine = {
        name: value
        for name, value in os.environ.items()  # noqa: TID251 - of another process
        if not name.startswith(("LATER_", "GRPC_"))
    }
    process = await asyncio.create_subprocess_exec(
        *words,
        stdout=PIPE,
        stderr=PIPE,
        env=mine | {"XDG_CONFIG_HOME": str(directory)} | variables,
    )
    async with asyncio.timeout(60):
        out, err = await process.communicate()
    assert process.returncode is not None
    return Said(process.returncode, out.decode(), err.decode())


async def shown_by(address: str) -> str:
    """The certificate that a new connection is shown, in PEM."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    host, _, port = address.rpartition(":")
    _, writer = await asyncio.open_connection(host, int(port), ssl=context)
    der = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.transport.abort()
    return ssl.DER_cert_to_PEM_cert(der)


def pem(path: str) -> str:
    return Path(path).read_text()


def normal(papers: Any) -> str:
    return ssl.DER_cert_to_PEM_cert(ssl.PEM_cert_to_DER_cert(pem(papers.cert)))


@pytest.fixture
def papers(authority: Any) -> Any:
    return authority.issue()


@pytest.fixture
async def encrypted(
    serve: Any, authority: Any, papers: Any, mongodb_uri: str, database: str
) -> Any:
    return await serve(
        mongodb_uri=mongodb_uri,
        database=database,
        tls_cert=papers.cert,
        tls_key=papers.key,
        tls_ca=authority.roots,
    )


async def test_a_renewal_without_a_restart(encrypted: Any, authority: Any, papers: Any) -> None:
    renewed = authority.issue()
    before, after = normal(papers), normal(renewed)
    tls = ClientTls(ca=authority.roots)
    breaks: list[Exception] = []
    async with Client(encrypted.address, tls=tls) as old, asyncio.timeout(60):
        batches = old.watch(on_break=lambda error, _: breaks.append(error))
        async with aclosing(batches):
            await anext(batches)
            assert await shown_by(encrypted.address) == before
            papers.renew(renewed)
            assert await shown_by(encrypted.address) == after
            async with Client(encrypted.address, tls=tls) as new:
                await new.create(NewInstance(id="seen", task="echo", delay=timedelta(hours=1)))
            async for batch in batches:
                if [event.instance.id for event in batch.events if event.instance] == ["seen"]:
                    break
    assert breaks == []
    assert "certificate renewed" in encrypted.log


async def test_grpcurl_with_the_root(
    encrypted: Any, authority: Any, grpcurl: Path, tmp_path: Path
) -> None:
    async def ask(*words: str) -> Said:
        return await run(str(grpcurl), *words, directory=tmp_path)

    trusting = ("-cacert", authority.roots)
    listed = await ask(*trusting, encrypted.address, "list")
    assert "later.v1.InstanceService" in listed.out.split()
    described = await ask(*trusting, encrypted.address, "describe", "later.v1.InstanceService")
    assert "CreateInstance" in described.out
    health = await ask(*trusting, encrypted.address, "grpc.health.v1.Health/Check")
    assert '"SERVING"' in health.out
    distrusting = await ask("-connect-timeout", "5", encrypted.address, "list")
    assert distrusting.code != 0
    assert "certificate" in distrusting.err


async def test_the_command_says_in_one_line_what_is_wrong(
    encrypted: Any, authority: Any, other_authority: Any, tmp_path: Path
) -> None:
    async def later(*words: str, **variables: str) -> Said:
        return await run(
            *LATER, *words, directory=tmp_path, LATER_ADDRESS=encrypted.address, **variables
        )

    for said in (
        await later("stats", "--tls-ca", authority.roots),
        await later("stats", LATER_TLS_CA=pem(authority.roots)),
        await later("stats", "--tls", SSL_CERT_FILE=authority.roots),
    ):
        assert (said.code, said.err) == (0, "")
        assert "PENDING" in said.out
    for said, remedy in (
        (await later("stats"), "add --tls"),
        (await later("stats", "--tls-ca", other_authority.roots), "name that root with --tls-ca"),
    ):
        assert (said.code, said.out) == (2, "")
        (line,) = said.err.splitlines()
        assert line.startswith("later: error: ")
        assert remedy in line


async def test_several_nodes_with_mutual_tls(
    serve: Any, authority: Any, mongodb_uri: str, database: str, grpcurl: Path, tmp_path: Path
) -> None:
    server, me = authority.issue(), authority.issue("me")
    several = await serve(
        mongodb_uri=mongodb_uri,
        database=database,
        nodes="2",
        lease="2s",
        grace="2s",
        tls_cert=pem(server.cert),
        tls_key=pem(server.key),
        tls_client_ca=authority.roots,
        tls_ca=authority.roots,
        tls_client_cert=me.cert,
        tls_client_key=me.key,
    )
    tls = ClientTls(ca=authority.roots, cert=me.cert, key=me.key)
    answering = set()
    async with asyncio.timeout(60):
        while len(answering) < 2:
            async with Client(several.address, tls=tls) as client:
                answering.add((await client.stats()).node)
            await CLOCK.sleep(0.05)
    trusting = ("-cacert", authority.roots)
    check = (several.address, "grpc.health.v1.Health/Check")
    shown = ("-cert", me.cert, "-key", me.key)
    said = await run(str(grpcurl), *trusting, *shown, *check, directory=tmp_path)
    assert '"SERVING"' in said.out
    said = await run(str(grpcurl), "-connect-timeout", "5", *trusting, *check, directory=tmp_path)
    assert said.code != 0


async def test_a_certificate_that_cannot_be_used_ends_the_start(
    prepare: Any, papers: Any, authority: Any, mongodb_uri: str, database: str
) -> None:
    server = prepare(
        mongodb_uri=mongodb_uri,
        database=database,
        tls_cert=papers.cert,
        tls_key=authority.issue().key,
    )
    said = await server.refuse()
    assert "later: error: LATER_TLS_CERT: the certificate and the key do not belong" in said


async def test_an_open_address_is_refused_for_several_nodes_too(tmp_path: Path) -> None:
    for nodes in ("1", "2"):
        said = await run(
            *LATER, "serve", "--listen=0.0.0.0:0", f"--nodes={nodes}", directory=tmp_path
        )
        assert said.code == 2
        (line,) = [line for line in said.err.splitlines() if line.startswith("later: error: ")]
        assert "--insecure" in line
