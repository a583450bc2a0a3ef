"""The server as a process: how it starts, what it says, how it ends."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest


def _run(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "later_core.cli", *words],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, **variables},  # noqa: TID251 - a process of the test
    )


def test_it_says_where_it_serves_and_ends_in_order(start_server, mongodb_uri: str, database: str):
    server = start_server(f"--mongodb-uri={mongodb_uri}", f"--database={database}")
    assert server.address.startswith("127.0.0.1:")
    assert server.stop(signal.SIGTERM) == 0
    assert any('"stopped"' in line for line in server.lines)


def test_it_ends_in_order_when_its_terminal_is_closed(
    start_server, mongodb_uri: str, database: str
):
    server = start_server(f"--mongodb-uri={mongodb_uri}", f"--database={database}")
    assert server.stop(signal.SIGHUP) == 0
    assert any('"stopped"' in line for line in server.lines)


def test_it_outlives_its_terminal_where_it_was_started_so(
    start_server, mongodb_uri: str, database: str
):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does; children inherit it
    try:
        server = start_server(f"--mongodb-uri={mongodb_uri}", f"--database={database}")
    finally:
        signal.signal(signal.SIGHUP, before)
    server.process.send_signal(signal.SIGHUP)
    assert server.stop(signal.SIGTERM) == 0
    assert not any("stopping at once" in line for line in server.lines)


def test_the_embedded_database_is_started_and_stopped_with_it(start_server, tmp_path: Path):
    server = start_server(f"--data-dir={tmp_path}")
    assert server.stop(signal.SIGINT) == 0
    lists = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline")]
    assert not [words for words in lists if os.fsencode(tmp_path) in words]


def test_a_taken_port_is_told_in_one_line(mongodb_uri: str, database: str):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = _run(
            "serve", f"--mongodb-uri={mongodb_uri}", f"--database={database}",
            f"--listen=127.0.0.1:{port}", "--verbose=0", "--log-format=json",
        )  # fmt: skip
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"later: error: cannot listen on 127.0.0.1:{port}: ")


def test_a_taken_port_is_told_before_a_database_is_started(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = _run("serve", f"--data-dir={tmp_path}/data", f"--listen=127.0.0.1:{port}")
    assert done.returncode == 2
    assert f"cannot listen on 127.0.0.1:{port}: " in done.stderr
    assert "mongod" not in done.stderr
    assert not (tmp_path / "data").exists()


def test_a_signal_while_it_waits_for_the_database_ends_it_at_once(tmp_path: Path):
    uri = "mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=500"
    words = ["serve", f"--mongodb-uri={uri}", "--listen=127.0.0.1:0"]
    with subprocess.Popen(
        [sys.executable, "-m", "later_core.cli", *words, "--verbose=2", "--log-format=json"],
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        # The warning says that it has begun to wait.
        while "waiting for the database" not in (line := process.stderr.readline()):
            assert process.poll() is None
        remedy = json.loads(line)["remedy"]
        assert "correct LATER_MONGODB_URI" in remedy
        assert "later doctor" in remedy
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_demo_that_is_interrupted_leaves_nothing_behind(number: int, tmp_path: Path):
    with subprocess.Popen(
        [sys.executable, "-m", "later_core.cli", "demo"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},  # noqa: TID251 - a process of the test
    ) as process:
        assert process.stdout is not None
        assert "CREATED" in process.stdout.readline()
        process.send_signal(number)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 128 + number
    assert "Traceback" not in err
    assert list(tmp_path.iterdir()) == []


def test_the_demo_ends_with_everything_as_promised(tmp_path: Path):
    of_the_real_server = {"LATER_TLS_CERT": "/nowhere.pem", "LATER_TLS_KEY": "/nowhere.key"}
    done = _run(
        "demo", "--count", "5", "--seconds", "1", TMPDIR=str(tmp_path), **of_the_real_server
    )
    assert done.returncode == 0, done.stderr
    assert "7 instances: 5 SUCCEEDED, 2 ABORTED" in done.stdout
    assert "lateness: p50 " in done.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("words", [["demo"], ["serve", "--log-format=json"]], ids=" ".join)
def test_without_a_mongod_one_line_says_what_to_install(words: list[str], tmp_path: Path):
    # A package of the same name that holds no binary hides the one that does.
    (tmp_path / "fiftyone").mkdir()
    (tmp_path / "fiftyone" / "__init__.py").touch()
    done = _run(*words, PYTHONPATH=str(tmp_path), PATH="/nowhere", HOME=str(tmp_path))
    assert done.returncode == 2
    errors = [line for line in done.stderr.splitlines() if line.startswith("later: error: ")]
    assert len(errors) == 1
    assert "later-core[embedded]" in errors[0]
    assert "Traceback" not in done.stderr
