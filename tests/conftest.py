"""What all tests share: a real MongoDB (one mongod per worker, started here and stopped by its pid),
and logging as it was before each test.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pymongo
import pytest
import structlog
import trustme
from hypothesis import HealthCheck, settings
from pymongo.errors import PyMongoError

from later_core.stores.mongo import launcher
from later_core.stores.mongo.binary import find_mongod

# A shell that runs the tests in the background has them ignore Ctrl-C, nohup the hang-up; processes
# that tests start would inherit that. What has a handler here begins with the default there.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)

# How long an example takes is the machine's affair: nothing here is asserted of time.
settings.register_profile("later", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("later")

_START_SECONDS = 60
_STOP_SECONDS = 20


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Mongod:
    """A single-member replica set in a directory of its own; can be stopped and started again."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self.uri = f"mongodb://127.0.0.1:{self._port}/?directConnection=true"

    def start(self) -> None:
        """Return once it is a writable primary."""
        self._process = subprocess.Popen(
            [
                # So that it ends with the test run, however that ends.
                *(sys.executable, "-I", "-S", launcher.__file__, str(os.getpid())),
                str(find_mongod()),
                f"--dbpath={self._directory}",
                f"--logpath={self._directory / 'mongod.log'}",
                "--logappend",
                "--replSet=later",
                "--bind_ip=127.0.0.1",
                f"--port={self._port}",
                "--nounixsocket",
                "--oplogSize=990",
                "--wiredTigerCacheSizeGB=0.25",
                "--setParameter=diagnosticDataCollectionEnabled=false",
                "--setParameter=ttlMonitorSleepSecs=1",
                "--setParameter=shutdownTimeoutMillisForSignaledShutdown=0",
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            self._await_primary(time.monotonic() + _START_SECONDS)  # noqa: TID251 -- a real process
        except BaseException:
            self.kill()
            raise

    def _await_primary(self, deadline: float) -> None:
        while not self._answers():
            self._pause(deadline)
        with pymongo.MongoClient(self.uri, serverSelectionTimeoutMS=5000) as client:
            while True:
                try:
                    hello = client.admin.command("hello")
                    if hello.get("isWritablePrimary"):
                        return
                    if not hello.get("setName"):
                        member = {"_id": 0, "host": f"127.0.0.1:{self._port}"}
                        config = {"_id": "later", "members": [member]}
                        client.admin.command("replSetInitiate", config)
                except PyMongoError:
                    pass  # it is still on its way; the deadline decides
                self._pause(deadline)

    def _answers(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self._port), timeout=1).close()
        except OSError:
            return False
        return True

    def _pause(self, deadline: float) -> None:
        assert self._process is not None
        ended = self._process.poll() is not None
        if ended or time.monotonic() > deadline:  # noqa: TID251 -- a real process
            log = (self._directory / "mongod.log").read_text(errors="replace")
            pytest.fail(f"mongod did not start:\n{log[-4000:]}")
        time.sleep(0.02)  # noqa: TID251 -- a real process is asked again

    def stop(self) -> None:
        """In order; what was written is there at the next start."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
        self._process = None

    def kill(self) -> None:
        """As a power cut does."""
        if self._process is None:
            return
        self._process.kill()
        self._process.wait()
        self._process = None


@pytest.fixture(scope="session")
def mongodb_uri() -> Iterator[str]:
    """A real MongoDB for the whole run (of this worker)."""
    with tempfile.TemporaryDirectory(prefix="later-test-") as directory:
        mongod = Mongod(Path(directory))
        mongod.start()
        try:
            yield mongod.uri
        finally:
            mongod.stop()


@pytest.fixture
def own_mongod() -> Iterator[Mongod]:
    """A running MongoDB of the test's own, to stop, kill and start."""
    with tempfile.TemporaryDirectory(prefix="later-test-") as directory:
        mongod = Mongod(Path(directory))
        mongod.start()
        try:
            yield mongod
        finally:
            mongod.kill()


@pytest.fixture
def database(mongodb_uri: str) -> Iterator[str]:
    """The name of a database that no other test knows; dropped afterwards."""
    name = f"test_{uuid.uuid4().hex}"
    yield name
    with pymongo.MongoClient(mongodb_uri) as client:
        client.drop_database(name)


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """What a command sets up for its process ends with the test that ran it."""
    root = logging.getLogger()
    handlers, level, show = root.handlers[:], root.level, warnings.showwarning
    yield
    logging.captureWarnings(capture=False)
    warnings.showwarning = show
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@dataclass(frozen=True)
class Papers:
    """The paths of a certificate and of its key."""

    cert: str
    key: str

    def renew(self, other: Papers) -> None:
        """Put the others in the place of these, each in one step, as tools for certificates do."""
        for mine, new in ((self.cert, other.cert), (self.key, other.key)):
            Path(new).replace(mine)


class Authority:
    """Signs certificates, in files of a directory of its own."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._ca = trustme.CA()
        self._count = 0
        self.roots = str(directory / "roots.pem")
        self._ca.cert_pem.write_to_path(self.roots)

    def issue(
        self,
        *names: str,
        common_name: str | None = None,
        not_before: datetime | None = None,
        not_after: datetime | None = None,
    ) -> Papers:
        """A certificate for these names, by default for this machine."""
        self._count += 1
        issued = self._ca.issue_cert(
            *(names or ("localhost", "127.0.0.1")),
            common_name=common_name,
            not_before=not_before,
            not_after=not_after,
        )
        papers = Papers(
            str(self._directory / f"{self._count}.pem"), str(self._directory / f"{self._count}.key")
        )
        issued.private_key_pem.write_to_path(papers.key)
        for part in issued.cert_chain_pems:
            part.write_to_path(papers.cert, append=True)
        return papers


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """Whom the tests' servers and clients trust."""
    directory = tmp_path / "authority"
    directory.mkdir()
    return Authority(directory)


@pytest.fixture
def other_authority(tmp_path: Path) -> Authority:
    """One that nobody trusts."""
    directory = tmp_path / "other"
    directory.mkdir()
    return Authority(directory)
