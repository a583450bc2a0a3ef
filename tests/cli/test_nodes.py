"""``later nodes`` and ``later drain`` against real servers."""

from __future__ import annotations

import time

import pytest


@pytest.fixture
def alone(start_server, mongodb_uri: str, database: str, tmp_path):
    """A server with a database of its own."""
    server = start_server(
        f"--mongodb-uri={mongodb_uri}",
        f"--database={database}",
        f"--data-dir={tmp_path}",
        "--lease=1s",
    )
    yield server
    server.stop()


def test_nodes_are_shown_to_people_and_to_programs(ask, server):
    table = ask("nodes")
    assert (table.code, table.err) == (0, "")
    head, row = table.out.splitlines()
    assert head.split()[:4] == ["NODE", "ADDRESS", "VERSION", "STATUS"]
    (record,) = ask("nodes", "--json").records
    assert row.startswith(record["id"])
    assert " alive " in row
    assert record["isAlive"] is True
    assert record["buckets"] == 256
    assert "echo" in record["tasks"]


def test_a_node_on_port_0_is_shown_with_the_port_that_was_found(later, alone):
    """The others learn of it by a heartbeat, of which there are four in a lease."""
    deadline = time.monotonic() + 20  # noqa: TID251 -- a real process
    shown = ""
    while shown != alone.address:
        assert time.monotonic() < deadline, f"{shown} instead of {alone.address}"  # noqa: TID251 -- of a real process
        (node,) = later("--address", alone.address, "nodes", "--json").records
        shown = node["address"]


def test_who_is_no_node_cannot_drain(ask):
    said = ask("drain", "nobody")
    assert (said.code, said.out) == (1, "")
    assert (
        said.err
        == "later: error: no living node 'nobody'; ListNodes (later nodes) names those there are\n"
    )


def test_drain_waits_until_the_node_has_let_go(later, alone):
    def ask(*words):
        return later("--address", alone.address, *words)

    (node,) = ask("nodes", "--json").records
    said = ask("drain", node["id"], "--wait", "--json")
    assert said.code == 0
    (record,) = said.records
    assert (record["isDrained"], record["running"], record["buckets"]) == (True, "0", 0)
    assert " drained " in ask("nodes").out
    again = ask("drain", node["id"], "--wait")
    assert again.out == f"{node['id']}: drained\n"


def test_drain_without_wait_answers_at_once(later, alone):
    (node,) = later("--address", alone.address, "nodes", "--json").records
    said = later("--address", alone.address, "drain", node["id"])
    assert (said.code, said.out) == (0, f"{node['id']}: asked to drain\n")
