"""Each command against a real server, as people and as programs read it."""

import json
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import pytest


@pytest.fixture
def id() -> str:
    return f"t-{uuid.uuid4().hex}"


@pytest.fixture
def created(ask, id: str) -> str:
    """An instance that is due in an hour."""
    assert ask("create", "echo", "hello", "--in", "1h", "--id", id).code == 0
    return id


def test_create_with_wait_follows_to_the_end(ask, id: str):
    said = ask("create", "echo", "hello", "--in", "300ms", "--id", id, "--wait", "--json")
    assert (said.code, said.err) == (0, "")
    (record,) = said.records
    assert record["id"] == id
    assert record["state"] == "STATE_SUCCEEDED"
    assert record["result"] == "aGVsbG8="
    assert datetime.fromisoformat(record["startTime"]) >= datetime.fromisoformat(
        record["executionTime"]
    )


def test_create_with_wait_fails_when_the_instance_does(ask, id: str):
    said = ask("create", "echo", "--json-parameters", '{"wrong": 1}', "--id", id, "--wait")
    assert said.code == 1
    assert said.err.startswith(f"later: error: instance {id} ended FAILED: INVALID_PARAMETERS: ")
    assert said.err.count("\n") == 1
    assert "FAILED" in said.out


def test_create_takes_every_field(ask, id: str):
    said = ask(
        "create", "echo", "--json-parameters", '{"message": "grüße", "a": 1}', "--id", id,
        "--at", "2500-01-01T00:00:00Z", "--label", "team=blue", "--label", "who=me=you",
        "--timeout", "5s", "--start-deadline", "1d", "--max-attempts", "3", "--min-backoff", "2s",
        "--max-backoff", "1m", "--multiplier", "3", "--retry-jitter", "0.5",
        "--final-reason", "GONE", "--final-reason", "EXIT_CODE",
        "--concurrency-key", "the database", "--concurrency-limit", "3",
        "--delivery", "at-most-once", "--priority", "7", "--json",
    )  # fmt: skip
    (record,) = said.records
    assert record["executionTime"] == "2500-01-01T00:00:00Z"
    assert record["labels"] == {"team": "blue", "who": "me=you"}
    assert record["timeout"] == "5s"
    assert record["startDeadline"] == "86400s"
    assert record["retry"] == {
        "maxAttempts": 3, "minBackoff": "2s", "maxBackoff": "60s", "multiplier": 3.0,
        "jitter": 0.5, "finalReasons": ["GONE", "EXIT_CODE"],
    }  # fmt: skip
    assert record["delivery"] == "DELIVERY_AT_MOST_ONCE"
    assert record["priority"] == 7
    assert record["concurrency"] == {"key": "the database", "limit": 3}
    shown = ask("get", id).out
    assert "grüße" in shown
    assert "3 at once of the database" in shown


def test_a_concurrency_key_alone_lets_one_run_at_once(ask, id: str):
    said = ask("create", "echo", "--id", id, "--in", "1h", "--concurrency-key", "k", "--json")
    assert said.records[0]["concurrency"] == {"key": "k", "limit": 1}


def test_a_concurrency_limit_without_a_key_is_wrong_usage(ask):
    said = ask("create", "echo", "--concurrency-limit", "2")
    assert said.code == 2
    assert "--concurrency-limit needs a --concurrency-key" in said.err


def test_the_attempts_that_have_ended_are_a_table(ask, id: str):
    ended = ask("create", "echo", "hello", "--id", id, "--wait").out
    # One attempt, which the lines above tell already.
    assert "STARTED" not in ended
    shown = ask("retry", id, "--in", "1h").out
    table = shown.split("\n\n")[1].splitlines()
    assert table[0].split() == ["ATTEMPT", "STARTED", "TOOK", "NODE", "ERROR"]
    [row] = table[1:]
    assert row.startswith("1        20")
    assert ask("get", id).out.split("\n\n")[1].splitlines() == table
    (record,) = ask("get", id, "--json").records
    [attempt] = record["attempts"]
    assert attempt["number"] == 1
    assert attempt["node"] in row
    assert "error" not in attempt


def test_parameters_come_from_a_file_byte_for_byte(ask, tmp_path: Path):
    file = tmp_path / "parameters"
    file.write_bytes(b"\x00\xff")
    said = ask("create", "echo", "--file", str(file), "--in", "1h", "--json")
    assert said.records[0]["parameters"] == "AP8="


def test_parameters_over_the_limit_are_wrong_usage(ask, tmp_path: Path):
    file = tmp_path / "parameters"
    file.write_bytes(b"x" * (1024 * 1024 + 1))
    said = ask("create", "echo", "--file", str(file))
    assert said.code == 2
    assert "1,048,576 bytes" in said.err


def test_what_the_server_refuses_is_wrong_usage_and_names_the_field(ask):
    said = ask("create", "echo", "--id", "no spaces, please")
    assert said.code == 2
    assert said.err.startswith("later: error: id: ")
    assert said.err.count("\n") == 1


def test_an_unknown_task_fails_with_the_nearest_name(ask):
    said = ask("create", "ecko")
    assert said.code == 1
    assert "did you mean 'echo'?" in said.err


@pytest.mark.parametrize("command", [["get"], ["abort"], ["retry"], ["reschedule", "--in=1s"]])
def test_an_unknown_id_fails_in_one_line(ask, command: list[str]):
    said = ask(*command, "nobody")
    assert (said.code, said.out) == (1, "")
    assert said.err.startswith("later: error: no instance 'nobody'")
    assert said.err.count("\n") == 1


def test_get_shows_an_instance_to_people_and_to_programs(ask, created: str):
    shown = ask("get", created)
    assert shown.code == 0
    assert created in shown.out
    assert "PENDING" in shown.out
    assert ask("get", created, "--json").records[0]["id"] == created


def test_a_list_is_a_table_or_an_object_a_line(ask):
    label = uuid.uuid4().hex
    for number in range(3):
        ask("create", "echo", "--in", f"{number + 1}h", "--label", f"l={label}")
    records = ask("list", "--label", f"l={label}", "--json").records
    times = [record["executionTime"] for record in records]
    assert len(times) == 3
    assert times == sorted(times)
    table = ask("list", "--label", f"l={label}", "--state", "pending", "--from", "90m").out
    assert len(table.splitlines()) == 1 + 2


def test_a_list_that_is_cut_says_so(ask):
    label = uuid.uuid4().hex
    for _ in range(2):
        ask("create", "echo", "--in", "1h", "--label", f"l={label}")
    for form in ([], ["--json"]):
        said = ask("list", "--label", f"l={label}", "--limit", "1", *form)
        assert said.code == 0
        assert said.err == "later: there are more than 1; --limit 0 shows all\n"
    assert ask("list", "--label", f"l={label}", "--limit", "2").err == ""


def test_an_abort_says_that_it_never_starts(ask, created: str):
    said = ask("abort", created)
    assert said.out == f"{created}: aborted while PENDING; it never starts\n"
    again = ask("abort", created)
    assert again.code == 1
    assert "it has ended" in again.err


def test_reschedule_moves_the_time(ask, created: str):
    said = ask("reschedule", created, "--at", "2500-01-01T00:00:00Z", "--json")
    assert said.records[0]["executionTime"] == "2500-01-01T00:00:00Z"
    stale = ask("reschedule", created, "--in", "1h", "--revision", "1")
    assert stale.code == 1
    assert "revision" in stale.err


def test_retry_runs_an_ended_instance_again(ask, created: str):
    ask("abort", created)
    said = ask("retry", created, "--in", "1h", "--json")
    assert said.records[0]["state"] == "STATE_PENDING"


def test_stats_are_shown_to_people_and_to_programs(ask):
    assert "PENDING" in ask("stats").out
    (record,) = ask("stats", "--json").records
    assert {each["state"] for each in record["states"]} >= {"STATE_PENDING", "STATE_FAILED"}
    assert "echo" in record["tasks"]


def test_the_address_may_stand_behind_the_command(later, server):
    assert later("stats", "--address", server.address).code == 0


def test_watch_sees_what_happens(ask, created: str, server):
    label = uuid.uuid4().hex
    first = ask("watch", "--include-existing", "--limit", "1", "--state", "PENDING", "--json")
    assert first.records[0]["type"] == "EVENT_TYPE_EXISTING"
    # A token from before: what happened since is told, each event once and in order.
    token = _token(server)
    ask("create", "echo", "--in", "1h", "--id", label, "--label", f"l={label}")
    ask("abort", label)
    said = ask("watch", "--label", f"l={label}", "--resume-token", token, "--limit", "2", "--json")
    assert said.code == 0
    assert [(r["type"], r["instance"]["state"]) for r in said.records] == [
        ("EVENT_TYPE_CREATED", "STATE_PENDING"),
        ("EVENT_TYPE_UPDATED", "STATE_ABORTED"),
    ]
    lines = ask("watch", "--label", f"l={label}", "--resume-token", token, "--limit", "2").out
    assert [line.split()[1] for line in lines.splitlines()] == ["CREATED", "UPDATED"]


def test_watch_ends_quietly_on_ctrl_c(server):
    with _watching(server) as process:
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (130, "")


def _token(server) -> str:
    with _watching(server) as process:
        process.kill()
        return process.token


@contextmanager
def _watching(server) -> Iterator[subprocess.Popen[str]]:
    """A ``later watch`` that has begun: ``token`` is its first bookmark."""
    words = ["--address", server.address, "watch", "--json", "--bookmarks"]
    with subprocess.Popen(
        [sys.executable, "-m", "later_core.cli", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        process.token = json.loads(process.stdout.readline())["resumeToken"]
        yield process
