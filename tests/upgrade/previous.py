"""The release before this one: its code, taken out of git, and a server that runs it.

No release has been made yet. In its place stands the commit below, the last one whose records have
neither priority nor histories of attempts nor jitter.
"""

# ruff: noqa: TID251 -- the servers here are other processes, and their environment is made for them

from __future__ import annotations

import io
import os
import signal
import socket
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from later_core.stores.mongo import launcher

ROOT = Path(__file__).resolve().parents[2]
COMMIT = "6c272c7f285897ec8057064d00456606b062b7b9"
PARTS = ("later_core", "plugins/later-plugin-bash/src", "plugins/later-plugin-echo/src")


def is_known() -> bool:
    """Whether git is here, and has the commit."""
    try:
        asked = ["git", "-C", str(ROOT), "cat-file", "-e", f"{COMMIT}^{{commit}}"]
        return subprocess.run(asked, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


def take_out(folder: Path) -> list[Path]:
    """Write its code into the folder; the places where Python finds its packages."""
    asked = ["git", "-C", str(ROOT), "archive", COMMIT, *PARTS]
    archive = subprocess.run(asked, capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as taken:
        taken.extractall(folder, filter="data")
    return [folder, *(folder / part for part in PARTS[1:])]


class ServerProcess:
    """``later serve`` of any version."""

    def __init__(self, log: Path, *, code: list[Path], settings: dict[str, str]) -> None:
        """Prepare it; without ``code`` it is what is installed here."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{probe.getsockname()[1]}"
        self._log = log
        self._environment = {k: v for k, v in os.environ.items() if not k.startswith("LATER_")} | {
            "XDG_CONFIG_HOME": str(log.parent),
            "PYTHONPATH": os.pathsep.join(map(str, code)),
            "LATER_LISTEN": self.address,
            **{f"LATER_{name.upper()}": value for name, value in settings.items()},
        }
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Return once its health is SERVING."""
        tied = (sys.executable, "-I", "-S", launcher.__file__, str(os.getpid()))
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*tied, sys.executable, "-m", "later_core.cli", "serve"],
                env=self._environment,
                cwd=self._log.parent,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            with grpc.insecure_channel(self.address) as channel:
                stub = health_pb2_grpc.HealthStub(channel)
                asked = stub.Watch(health_pb2.HealthCheckRequest(), wait_for_ready=True, timeout=60)
                for said in asked:
                    if said.status == health_pb2.HealthCheckResponse.SERVING:
                        return
        except grpc.RpcError as error:
            raise AssertionError(f"it does not serve:\n{self.log[-4000:]}") from error

    @property
    def log(self) -> str:
        """What it has written."""
        return self._log.read_text(errors="replace")

    def kill(self) -> None:
        """As a power cut does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def stop(self) -> None:
        """As an operator does; in order."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        code = self._process.wait(40)
        self._process = None
        assert code == 0, self.log[-4000:]


@contextmanager
def serving(log: Path, *, code: list[Path], settings: dict[str, str]) -> Iterator[ServerProcess]:
    """A server that answers, and is gone afterwards."""
    server = ServerProcess(log, code=code, settings=settings)
    try:
        server.start()
        yield server
    finally:
        server.kill()
