"""Real servers that ask who comes: with the command, the real grpcurl, and no secret left lying about."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from asyncio.subprocess import PIPE
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from later_core.client.client import Client
from later_core.client.errors import RpcError
from later_core.model.audit import AuditEntry
from later_core.model.permission import Role
from later_core.model.token import NewToken
from later_core.ports.clock import SystemClock

CLOCK = SystemClock()
LATER = (sys.executable, "-m", "later_core.cli")
SECRET = "0123456789abcdef" * 3


@dataclass(frozen=True)
class Said:
    code: int
    out: str
    err: str

    @property
    def records(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]


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


@pytest.fixture
async def guarded(serve: Any, mongodb_uri: str, database: str) -> Any:
    return await serve(
        mongodb_uri=mongodb_uri,
        database=database,
        auth="token",
        admin_token=SECRET,
        nodes="2",
        lease="2s",
        verbose="2",
    )


async def test_from_the_first_token_to_the_log(guarded: Any, grpcurl: Path, tmp_path: Path) -> None:
    async def later(*words: str, token: str = SECRET) -> Said:
        return await run(
            *LATER, *words, directory=tmp_path, LATER_ADDRESS=guarded.address, LATER_TOKEN=token
        )

    made = await later(
        "tokens", "create", "ci", "--role=scheduler", "--task=ec*", "--label=team=web"
    )
    assert made.code == 0, made.err
    (secret,) = made.out.split()
    (token,) = (await later("tokens", "list", "--json")).records
    assert token["id"] == secret.split("_")[1]
    assert (token["name"], token["tasks"], token["labels"]) == ("ci", ["ec*"], {"team": "web"})

    within = ("create", "echo", "--id=a", "--in=1h", "--label=team=web", "--json")
    (created,) = (await later(*within, token=secret)).records
    assert created["principal"] == "ci"
    outside = await later("create", "echo", "--id=b", token=secret)
    assert (outside.code, outside.out) == (1, "")
    assert outside.err.startswith("later: error: 'ci' may not do this; it needs a scope")

    (tmp_path / "token").write_text(f"{secret}\n")
    stats = await run(
        *(*LATER, "list", "--json", "--address", guarded.address, "--token-file"),
        str(tmp_path / "token"),
        directory=tmp_path,
    )
    assert [record["id"] for record in stats.records] == ["a"]

    bearing = ("-H", f"authorization: Bearer {secret}", "-plaintext")
    listed = await run(str(grpcurl), *bearing, guarded.address, "list", directory=tmp_path)
    assert "later.v1.AdminService" in listed.out.split()
    asked = (guarded.address, "later.v1.InstanceService/ListInstances")
    found = await run(str(grpcurl), *bearing, *asked, directory=tmp_path)
    assert json.loads(found.out)["instances"][0]["principal"] == "ci"
    refused = await run(str(grpcurl), "-plaintext", *asked, directory=tmp_path)
    assert "Unauthenticated" in refused.err

    assert (await later("tokens", "revoke", token["id"])).code == 0
    await until_refused(guarded.address, secret)

    async with Client(guarded.address, token=SECRET) as admin:
        await admin.abort("a")
        entries = await until_noted(admin, "AbortInstance")
    told = [(e.principal, e.method, e.target, e.outcome) for e in entries]
    assert ("ci", "CreateInstance", "a", "OK") in told
    assert ("ci", "CreateInstance", "b", "PERMISSION_DENIED") in told
    assert ("admin-token", "RevokeToken", token["id"], "OK") in told
    assert ("admin-token", "AbortInstance", "a", "OK") in told
    mine = await later("audit", "--principal=ci", "--since=1h ago", "--outcome=OK")
    head, row = mine.out.splitlines()
    assert head.split()[:3] == ["TIME", "PRINCIPAL", "METHOD"]
    assert row.split()[1:5] == ["ci", "CreateInstance", "a", "OK"]

    for text in (guarded.log, entries, listed.out, outside.err):
        assert secret not in str(text)
        assert SECRET not in str(text)


async def test_the_command_tells_who_one_is(guarded: Any, tmp_path: Path) -> None:
    async def whoami(*words: str, token: str) -> Said:
        address = {"LATER_ADDRESS": guarded.address, "LATER_TOKEN": token}
        return await run(*LATER, "whoami", *words, directory=tmp_path, **address)

    async with Client(guarded.address, token=SECRET) as admin:
        new = NewToken(name="ci", roles=(Role.SCHEDULER,), tasks=("ec*",), labels={"team": "web"})
        token, secret = await admin.create_token(new, lifetime=timedelta(days=30))
    told = (await whoami(token=secret)).out
    for shown in (r"principal +ci", rf"known by +token {token.id}", r"expires +2.* \(in .*\)",
                  r"roles +scheduler", r"permissions +instances\.change, instances\.create, .*",
                  r"confined to +tasks ec\* with labels team=web",
                  r"create rate +unbounded", r"max pending +unbounded"):  # fmt: skip
        assert re.search(rf"^{shown}$", told, re.MULTILINE), told
    assert secret not in told
    (record,) = (await whoami("--json", token=SECRET)).records
    assert (record["principal"], record["means"]) == ("admin-token", "MEANS_ADMIN_TOKEN")
    refused = await whoami(token="wrong")
    assert (refused.code, refused.out) == (1, "")


async def until_refused(address: str, secret: str) -> None:
    """By both nodes: each new connection meets one of them."""
    refusals = 0
    async with asyncio.timeout(60):
        while refusals < 10:
            async with Client(address, token=secret) as client:
                refusals = refusals + 1 if await is_refused(client) else 0
            await CLOCK.sleep(0.05)


async def is_refused(client: Client) -> bool:
    try:
        await client.stats()
    except RpcError as error:
        return "wrong, expired or revoked" in str(error)
    return False


async def until_noted(client: Client, method: str) -> list[AuditEntry]:
    async with asyncio.timeout(60):
        while True:
            entries = [entry async for entry in client.audit()]
            if any(entry.method == method for entry in entries):
                return entries
            await CLOCK.sleep(0.05)
