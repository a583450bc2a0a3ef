"""``later doctor`` against real deployments, sound ones and broken ones."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pymongo
import pytest

from later_core.ports.clock import SystemClock
from later_core.stores.mongo.documents import to_document
from later_core.testing.builders import an_instance


def verdicts(said) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for record in said.records:
        found.setdefault(record["check"], set()).add(record["verdict"])
    return found


@pytest.fixture
def alone(start_server, mongodb_uri: str, database: str, tmp_path: Path):
    """A server with a database of its own."""
    server = start_server(
        f"--mongodb-uri={mongodb_uri}",
        f"--database={database}",
        f"--data-dir={tmp_path}",
        "--lease=1s",
    )
    yield server
    server.stop()


def test_a_sound_deployment_is_told_so(later, alone, mongodb_uri: str, database: str):
    words = (
        "doctor",
        "--address",
        alone.address,
        "--mongodb-uri",
        mongodb_uri,
        "--database",
        database,
    )
    said = later(*words, "--json")
    assert (said.code, said.err) == (0, "")
    found = verdicts(said)
    # The MongoDB of the tests has one member.
    assert found.pop("members") == {"WARN"}
    assert found.pop("disk") <= {"OK", "WARN"}
    assert {check for check, seen in found.items() if seen != {"OK"}} == set()
    assert found.keys() >= {"server", "version", "nodes", "clocks", "plugins", "tasks", "indexes"}

    table = later(*words)
    assert (table.code, table.err) == (0, "")
    lines = table.out.splitlines()
    assert lines[0].split() == ["CHECK", "FOUND"]
    assert lines[1].startswith("OK")
    assert alone.address in lines[1]
    assert any("-> for production, three members" in line for line in lines)


def test_without_a_uri_the_database_is_left_out(ask):
    said = ask("doctor", "--json")
    (record,) = [record for record in said.records if record["check"] == "database"]
    assert record["verdict"] == "OK"
    assert "LATER_MONGODB_URI" in record["found"]


def test_instances_of_a_task_that_no_node_has_are_found(
    later, alone, mongodb_uri: str, database: str
):
    waiting = an_instance("w", task="gone", execution_time=datetime(2020, 1, 1, tzinfo=UTC))
    with pymongo.MongoClient(mongodb_uri) as raw:
        raw[database].instances.insert_one(to_document(waiting))
    said = later("doctor", "--address", alone.address, "--json")
    assert said.code == 1
    (failed,) = [record for record in said.records if record["verdict"] == "FAIL"]
    assert failed["check"] == "tasks"
    assert "'gone'" in failed["found"]
    assert "install its plugin" in failed["remedy"]
    assert verdicts(said)["overdue"] == {"OK"}


async def test_a_node_that_was_killed_is_named(
    later, alone, start_server, mongodb_uri: str, database: str, tmp_path: Path
):
    other = start_server(
        f"--mongodb-uri={mongodb_uri}",
        f"--database={database}",
        f"--data-dir={tmp_path / 'other'}",
        "--lease=1s",
    )
    other.stop(9)
    for _ in range(600):
        with pymongo.MongoClient(mongodb_uri) as raw:
            dead = raw[database].nodes.find_one({"state": "DEAD"})
        if dead is not None:
            break
        await SystemClock().sleep(0.05)
    assert dead is not None
    ended = _in_a_thread(lambda: later("doctor", "--address", alone.address, "--json"))
    (record,) = [record for record in ended.records if record["check"] == "nodes"]
    assert record["verdict"] == "WARN"
    assert dead["_id"] in record["found"]
    assert ended.code == 0


def _in_a_thread(call: Callable):
    """The command begins an event loop of its own."""
    answers = []
    thread = threading.Thread(target=lambda: answers.append(call()))
    thread.start()
    thread.join()
    return answers[0]


def test_where_nobody_listens_the_address_is_to_be_mended(later):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    said = later("doctor", "--address", address, "--json")
    assert said.code == 1
    record = said.records[0]
    assert (record["check"], record["verdict"]) == ("server", "FAIL")
    assert "refused" in record["found"]
    assert "LATER_ADDRESS" in record["remedy"]


def test_a_database_is_looked_at_though_no_server_answers(later, mongodb_uri: str, database: str):
    said = later(
        "doctor",
        "--address=127.0.0.1:9",
        "--mongodb-uri",
        mongodb_uri,
        "--database",
        database,
        "--json",
    )
    assert said.code == 1
    found = verdicts(said)
    assert (found["server"], found["schema"]) == ({"FAIL"}, {"FAIL"})


@pytest.fixture
def listener() -> Iterator[Callable[[ssl.SSLContext | None], str]]:
    """Something that listens and speaks no gRPC: it hangs up, or asks for TLS first; its address."""
    stop = threading.Event()
    sockets: list[socket.socket] = []
    threads: list[threading.Thread] = []

    def serve(listening: socket.socket, context: ssl.SSLContext | None) -> None:
        while not stop.is_set():
            try:
                taken, _ = listening.accept()
            except OSError:
                continue
            with taken:
                taken.settimeout(5)
                try:
                    if context is None:
                        taken.recv(1024)
                        taken.sendall(b"220 welcome\r\n")
                    else:
                        context.wrap_socket(taken, server_side=True).close()
                except OSError:
                    pass  # what comes is not what it waits for

    def start(context: ssl.SSLContext | None) -> str:
        listening = socket.create_server(("127.0.0.1", 0))
        listening.settimeout(0.1)
        sockets.append(listening)
        threads.append(threading.Thread(target=serve, args=(listening, context)))
        threads[-1].start()
        return f"127.0.0.1:{listening.getsockname()[1]}"

    yield start
    stop.set()
    for thread in threads:
        thread.join()
    for listening in sockets:
        listening.close()


def test_what_speaks_tls_is_told_from_what_does_not(later, listener):
    # Without a certificate it refuses every handshake, and by that says what it speaks.
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    for context, flags, words, remedy in (
        (tls, [], "speaks TLS", "--tls"),
        (None, ["--tls"], "speaks no TLS", "leave out --tls"),
        (None, [], "no server of Later", "--address"),
    ):
        said = later("doctor", "--address", listener(context), *flags, "--json")
        assert said.code == 1
        assert words in said.records[0]["found"]
        assert remedy in said.records[0]["remedy"]
