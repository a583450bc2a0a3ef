"""A real RabbitMQ, once for all tests."""

# ruff: noqa: TID251 -- what is waited for here is another process: asked for, with a deadline

import os
import shutil
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from later_plugin_amqp import Plugin
from later_plugin_amqp.broker import Broker
from later_plugin_amqp.task import Publish

#: Where Debian has it; the one on PATH there is a script that changes the user.
PROGRAM = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def amqp_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    program = str(PROGRAM) if PROGRAM.exists() else shutil.which("rabbitmq-server")
    if program is None:
        pytest.skip("there is no rabbitmq-server (on Debian: apt-get install rabbitmq-server)")
    folder, port = tmp_path_factory.mktemp("rabbitmq"), _free_port()
    (folder / "enabled_plugins").write_text("[].")
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "RABBITMQ_NODENAME": "later@localhost",
        "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODE_PORT": str(port),
        "RABBITMQ_DIST_PORT": str(_free_port()),
        "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
        "RABBITMQ_LOG_BASE": str(folder / "log"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "enabled_plugins"),
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "ERL_EPMD_PORT": str(_free_port()),
    }
    with (folder / "out").open("wb") as out:
        server = subprocess.Popen([program], env=environment, stdout=out, stderr=out)
    try:
        _until_open(port, server, folder / "out")
        yield f"amqp://guest:guest@127.0.0.1:{port}/"
    finally:
        server.terminate()
        try:
            server.wait(40)
        finally:
            server.kill()
            # Erlang's name server outlives the nodes that started it.
            subprocess.run(["epmd", "-kill"], env=environment, capture_output=True, check=False)


def _until_open(port: int, server: "subprocess.Popen[bytes]", out: Path) -> None:
    deadline = time.monotonic() + 90
    while True:
        assert server.poll() is None, out.read_text()
        assert time.monotonic() < deadline, out.read_text()
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1):
                return
        except OSError:
            time.sleep(0.1)


@pytest.fixture
async def make() -> AsyncIterator[Callable[..., Publish]]:
    """Makes the task with settings as a server would."""
    opened: list[Broker] = []

    def make(**settings: object) -> Publish:
        plugin = Plugin()
        defaults = {setting.name: setting.default for setting in plugin.later_settings()}
        (task,) = plugin.later_tasks(defaults | settings)
        opened.append(plugin.later_lifespan())
        assert isinstance(task, Publish)
        return task

    yield make
    for broker in opened:
        async with broker:
            pass
