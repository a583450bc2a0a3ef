"""The client alone: it needs nothing that only a server does."""

import asyncio
import subprocess
import sys

import pytest

from later_core.client import Client
from later_core.errors import SettingInvalid
from later_core.model.tls import ClientTls

SERVERS_OWN = (
    "aiosmtpd bson click cronsim dateparser grpc_channelz grpc_reflection motor opentelemetry pluggy"
    " pymongo rich structlog"
)

PROGRAM = f"""
import sys

class Refusing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {SERVERS_OWN.split()!r}:
            raise ImportError(f"{{name}} is only of the server")

sys.meta_path.insert(0, Refusing())
import asyncio
from datetime import timedelta
from later_core.client import Client
from later_core.model.instance import NewInstance
from later_core.model.schedule import ScheduleSpec

async def main():
    async with Client.from_environment() as client:
        print((await client.create(NewInstance(task="echo", delay=timedelta(hours=1)))).state)

asyncio.run(main())
print(*sorted(name for name in sys.modules if name in {SERVERS_OWN.split()!r}))
"""


async def test_it_works_where_what_only_a_server_needs_is_missing(serving):

    async with serving() as address:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", PROGRAM),
            env={"LATER_ADDRESS": address, "XDG_CONFIG_HOME": "/nowhere"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        async with asyncio.timeout(60):
            output, errors = await process.communicate()
    assert (output.decode(), errors.decode()) == ("PENDING\n\n", "")


def test_the_environment_says_where_the_server_is_as_for_the_commands(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("LATER_ADDRESS", "10.0.0.1:1,10.0.0.2:1")
    monkeypatch.setenv("LATER_TLS_CA", "/roots.pem")
    with pytest.raises(SettingInvalid, match="tls_server_name"):
        Client.from_environment()
    monkeypatch.setenv("LATER_TLS_SERVER_NAME", "later.example")
    client = Client.from_environment()
    assert client.address == "10.0.0.1:1,10.0.0.2:1"
    assert client._tls == ClientTls(ca="/roots.pem", server_name="later.example")
