"""The command as it is typed: in this process where it is short, as a process where it serves."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from later_core.cli import main

_START_SECONDS = 60
_STOP_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Said:
    """What a command answered."""

    code: int
    out: str
    err: str

    @property
    def records(self) -> list[dict]:
        return [json.loads(line) for line in self.out.splitlines()]


Later = Callable[..., Said]


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting of the machine that runs the tests reaches them."""
    for name in list(os.environ):  # noqa: TID251 - the tests own the environment
        if name.startswith("LATER_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))


@pytest.fixture
def later(capfd: pytest.CaptureFixture[str]) -> Later:
    """Run ``later`` with these words in this process."""

    def run(*words: str) -> Said:
        capfd.readouterr()
        code = main(words)
        out, err = capfd.readouterr()
        return Said(code, out, err)

    return run


@dataclass(slots=True)
class Server:
    """A ``later serve`` process, with the lines it has logged."""

    process: subprocess.Popen[str]
    address: str = ""
    lines: list[str] = field(default_factory=list)
    reader: threading.Thread | None = None

    @classmethod
    def start(cls, *flags: str) -> Server:
        process = subprocess.Popen(
            [sys.executable, "-m", "later_core.cli", "serve", "--listen=127.0.0.1:0",
             "--log-format=json", "--verbose=1", *flags],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        server = cls(process)
        ready: queue.Queue[str | None] = queue.Queue()
        server.reader = threading.Thread(target=server._read, args=(ready,), daemon=True)
        server.reader.start()
        try:
            address = ready.get(timeout=_START_SECONDS)
        except queue.Empty:
            address = None
        if address is None:
            server.stop(signal.SIGKILL)
            pytest.fail("the server did not start:\n" + "\n".join(server.lines))
        server.address = address
        return server

    def _read(self, ready: queue.Queue[str | None]) -> None:
        assert self.process.stderr is not None
        with self.process.stderr as log:
            for line in log:
                self.lines.append(line.rstrip())
                if '"serving"' in line:
                    ready.put(json.loads(line)["address"])
        ready.put(None)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Its exit code."""
        self.process.send_signal(number)
        try:
            return self.process.wait(_STOP_SECONDS)
        finally:
            self.process.kill()
            self.process.wait()
            if self.reader:
                self.reader.join()


@pytest.fixture(scope="session")
def server(mongodb_uri: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that the tests of this folder share; each test keeps to ids of its own."""
    server = Server.start(
        f"--mongodb-uri={mongodb_uri}", "--database=test_cli",
        f"--data-dir={tmp_path_factory.mktemp('data')}", "--recurrence=1s", "--time-ahead=5s",
    )  # fmt: skip
    yield server
    server.stop()


@pytest.fixture
def ask(later: Later, server: Server) -> Later:
    """Run ``later`` against the shared server."""
    return lambda *words: later("--address", server.address, *words)


@pytest.fixture(scope="session")
def start_server() -> Callable[..., Server]:
    """Start another server; the test stops it."""
    return Server.start
