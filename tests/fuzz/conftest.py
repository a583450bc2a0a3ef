"""A server as it is installed, its vital signs, and people who go on using it while it is attacked.

This room mirrors no part of the house. What it tries is told to the whole: bytes that come in by one door
(the wire, a file, a plugin) must do no harm behind any other. What one part does with one wrong
value is tested in the room of that part.

By default each property is tried briefly. ``pytest tests/fuzz --hypothesis-profile=fuzz`` (``tox -e fuzz``)
tries fifty times as much.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import astuple, dataclass
from pathlib import Path

import grpc
import pymongo
import pytest
from grpc_channelz.v1 import channelz_pb2, channelz_pb2_grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from hypothesis import HealthCheck, settings

from later_core.rpc.v1 import later_pb2 as pb
from later_core.rpc.v1 import later_pb2_grpc as rpc
from later_core.stores.mongo import launcher

SECONDS = 15

#: Servers of real processes answer when they do, and a session's server serves all examples.
_REAL = {"deadline": None, "suppress_health_check": list(HealthCheck), "print_blob": True}
settings.register_profile("fuzz", settings.get_profile("default"), max_examples=5000, **_REAL)

#: What a server may grow by while it is attacked: room for the requests that it may hold at a time (each
#: connection of these tests has few), for its caches and for what the allocator keeps; much less than an
#: attack that it fell for would make of it.
GROWTH_MAX_BYTES = 192 * 1024 * 1024


def until(holds: Callable[[], bool], what: Callable[[], str]) -> None:
    """Return once it holds; fail if it does not within the time that anything may take."""
    end = time.monotonic() + SECONDS  # noqa: TID251 -- a real process is asked again
    while not holds():
        if time.monotonic() > end:  # noqa: TID251 -- a real process is asked again
            pytest.fail(what())
        time.sleep(0.02)  # noqa: TID251 -- a real process is asked again


@dataclass(frozen=True)
class Signs:
    """What a server holds while nobody asks anything of it."""

    files: int
    connections: int
    calls: int
    subscribers: int

    @property
    def is_quiet(self) -> bool:
        """Whether everybody has gone home."""
        return self.calls == self.subscribers == 0

    def is_within(self, other: Signs) -> bool:
        """Whether it holds no more of anything than it did then."""
        return all(mine <= its for mine, its in zip(astuple(self), astuple(other), strict=True))


def _install_hostile_plugin(directory: Path) -> Path:
    """A distribution as an installer would put it there; the path that it is on."""
    path = directory / "plugins"
    metadata = path / "later_hostile-1.dist-info"
    metadata.mkdir(parents=True)
    shutil.copy(Path(__file__).with_name("later_hostile.py"), path)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: later-hostile\nVersion: 1\n")
    (metadata / "entry_points.txt").write_text("[later]\nhostile = later_hostile\n")
    return path


class Server:
    """``later serve`` as a process, and one well-behaved client."""

    def __init__(self, directory: Path, mongodb_uri: str, database: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self.address = f"127.0.0.1:{self.port}"
        self._log = directory / "later.log"
        self._never_ended = 0
        (_, self._database_port), *_ = pymongo.uri_parser.parse_uri(mongodb_uri)["nodelist"]
        inherited = {
            name: value
            for name, value in os.environ.items()  # noqa: TID251 -- of another process
            if not name.startswith("LATER_")
        }
        environment = inherited | {
            "XDG_CONFIG_HOME": str(directory),
            "PYTHONPATH": str(_install_hostile_plugin(directory)),
            "LATER_LISTEN": self.address,
            "LATER_MONGODB_URI": mongodb_uri,
            "LATER_DATABASE": database,
            "LATER_GRACE": "2s",
            "LATER_LOG_FORMAT": "text",
        }
        later = Path(sys.executable).with_name("later")
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                # So that it ends with the test run, however that ends.
                [sys.executable, "-I", "-S", launcher.__file__, str(os.getpid()), later, "serve"],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.channel = grpc.insecure_channel(self.address)
        self.instances = rpc.InstanceServiceStub(self.channel)
        self.schedules = rpc.ScheduleServiceStub(self.channel)
        self.tasks = rpc.TaskServiceStub(self.channel)
        self.admin = rpc.AdminServiceStub(self.channel)
        self._channelz = channelz_pb2_grpc.ChannelzStub(self.channel)

    def start(self) -> None:
        """Return once it serves."""
        health = health_pb2_grpc.HealthStub(self.channel)
        asked = health_pb2.HealthCheckRequest()

        def serves() -> bool:
            assert self._process.poll() is None, self.log
            try:
                return health.Check(asked, timeout=SECONDS, wait_for_ready=True).status == 1
            except grpc.RpcError:
                return False

        until(serves, lambda: f"it does not serve:\n{self.log}")

    def stop(self) -> None:
        """In order, as an operator does; after all that it must still be able to."""
        self.channel.close()
        self._process.send_signal(signal.SIGTERM)
        try:
            assert self._process.wait(SECONDS) == 0, self.log
        finally:
            self._process.kill()
            self._process.wait()

    @property
    def log(self) -> str:
        """What it has written."""
        return self._log.read_text(errors="replace")

    @property
    def _proc(self) -> Path:
        return Path("/proc", str(self._process.pid))

    def memory(self, kind: str = "VmRSS") -> int:
        """So many bytes it holds; the most since the peak was forgotten with ``VmHWM``."""
        for line in (self._proc / "status").read_text().splitlines():
            if line.startswith(f"{kind}:"):
                return int(line.split()[1]) * 1024
        raise AssertionError(f"no {kind}")

    def forget_peak(self) -> None:
        """Measure the most memory from here on."""
        (self._proc / "clear_refs").write_text("5")

    def signs(self) -> Signs:
        """As they are; the call that asks is not among them."""
        (server,) = self._channelz.GetServers(
            channelz_pb2.GetServersRequest(), timeout=SECONDS
        ).server
        connections = self._channelz.GetServerSockets(
            channelz_pb2.GetServerSocketsRequest(server_id=server.ref.server_id), timeout=SECONDS
        ).socket_ref
        data = server.data
        stats = self.admin.GetStats(pb.GetStatsRequest(), timeout=SECONDS)
        open_calls = data.calls_started - data.calls_succeeded - data.calls_failed - 1
        self._never_ended = min(self._never_ended, open_calls)  # some only took their time
        return Signs(
            files=len(set(self._files()) - self._to_the_database()),
            connections=len(connections),
            calls=open_calls - self._never_ended,
            subscribers=stats.subscribers,
        )

    def _files(self) -> Iterator[str]:
        for file in (self._proc / "fd").iterdir():
            with suppress(FileNotFoundError):  # closed since
                yield f"{file.name} {file.readlink()}"

    def _to_the_database(self) -> set[str]:
        """Those of the driver, which keeps as many connections as it once needed."""
        port = f":{self._database_port:04X}"
        rows = [line.split() for line in (self._proc / "net/tcp").read_text().splitlines()]
        inodes = {row[9] for row in rows if row[2].endswith(port)}
        return {file for file in self._files() if file.split("[")[-1].rstrip("]") in inodes}

    def is_well(self) -> None:
        """Whoever uses it as it is meant to be used gets what he asks for."""
        assert self._process.poll() is None, self.log
        id = f"witness-{uuid.uuid4().hex}"
        watch = self.instances.WatchInstances(
            pb.WatchInstancesRequest(filter={"labels": {"witness": id}}), timeout=SECONDS
        )
        next(watch)  # a bookmark: what happens from here on is told
        asked = pb.CreateInstanceRequest(
            id=id, task="echo", parameters=b'{"message": "here"}', labels={"witness": id}
        )
        created = self.instances.CreateInstance(asked, timeout=SECONDS).instance
        assert created.id == id
        states = [event.instance.state for event in _events_until_ended(watch)]
        assert states == [pb.STATE_PENDING, pb.STATE_RUNNING, pb.STATE_SUCCEEDED]
        watch.cancel()
        got = self.instances.GetInstance(pb.GetInstanceRequest(id=id), timeout=SECONDS).instance
        assert got.state == pb.STATE_SUCCEEDED

    @contextmanager
    def unharmed(
        self,
        *,
        says_errors: bool = False,
        breaks_frames: bool = False,
        growth: int = GROWTH_MAX_BYTES,
    ) -> Iterator[None]:
        """While the block attacks it others are served, and afterwards it holds what it held before.

        Nothing that it logs is an error of its own, unless a plugin's errors are what it tells of. Calls
        that never became any (their frames broke off) gRPC counts as begun and never as ended: where there
        are such, the connections that carried them must be gone.
        """
        self.is_well()
        until(lambda: self.signs().is_quiet, lambda: f"it is never quiet: {self.signs()}")
        before, memory, said = self.signs(), self.memory(), len(self.log)
        self.forget_peak()
        with self._used_meanwhile():
            yield
        self.is_well()
        if breaks_frames:
            until(lambda: self.signs().connections <= before.connections, lambda: self.log[-8000:])
            self._never_ended = self.signs().calls + self._never_ended
        until(
            lambda: self.signs().is_within(before),
            lambda: f"it held {before} before, and holds {self.signs()} now:\n{self.log[-8000:]}",
        )
        assert self.memory("VmHWM") - memory < growth
        if not says_errors:
            new = self.log[said:]
            assert "Traceback" not in new, new[-8000:]

    @contextmanager
    def _used_meanwhile(self) -> Iterator[None]:
        over = threading.Event()
        failures: list[BaseException] = []

        def go_on() -> None:
            try:
                while not over.wait(0.2):
                    self.is_well()
            except BaseException as error:  # noqa: BLE001 -- told by the thread of the test
                failures.append(error)

        user = threading.Thread(target=go_on)
        user.start()
        try:
            yield
        finally:
            over.set()
            user.join()
        if failures:
            raise failures[0]


def _events_until_ended(watch: Iterator[pb.WatchInstancesResponse]) -> Iterator[pb.InstanceEvent]:
    for response in watch:
        for event in response.events:
            yield event
            if event.instance.state > pb.STATE_RUNNING:
                return


@pytest.fixture(scope="session")
def server(mongodb_uri: str) -> Iterator[Server]:
    """One for all that this room tries: what one test leaves behind would harm the next."""
    database = f"test_{uuid.uuid4().hex}"
    with tempfile.TemporaryDirectory(prefix="later-fuzz-") as directory:
        server = Server(Path(directory), mongodb_uri, database)
        try:
            server.start()
            yield server
        finally:
            server.stop()
            with pymongo.MongoClient(mongodb_uri) as client:
                client.drop_database(database)
