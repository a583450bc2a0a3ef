"""How answers look."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from later_core.cli.output import (
    attempt_rows,
    event_line,
    instance_details,
    payload_text,
    print_details,
    print_json,
    print_table,
)
from later_core.client.records import event_records, instance_record
from later_core.model.event import Event, EventBatch, EventType
from later_core.model.instance import Instance, InstanceError
from later_core.model.state import State
from later_core.testing.builders import an_attempt

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)
INSTANCE = Instance(
    id="i-1",
    task="echo",
    execution_time=NOW + timedelta(minutes=5),
    create_time=NOW,
    parameters="grüße".encode(),
    labels={"team": "blue"},
)
CREATED = Event(type=EventType.CREATED, instance=INSTANCE, event_time=NOW, position="p1")


def test_json_is_one_object_on_one_line(capsys: pytest.CaptureFixture[str]):
    print_json({"a": "line\nbreak", "b": "grüße"})
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    assert json.loads(out) == {"a": "line\nbreak", "b": "grüße"}


def test_a_record_has_the_names_of_the_proto_and_every_field_that_is_always_there():
    record = instance_record(INSTANCE)
    assert record["executionTime"] == "2030-01-01T12:05:00Z"
    assert record["state"] == "STATE_PENDING"
    assert record["attempt"] == 0
    assert record["scheduleId"] == ""
    assert record["labels"] == {"team": "blue"}
    assert "finishTime" not in record


def test_the_resume_token_stands_behind_the_last_event_of_a_batch():
    first, last = event_records(EventBatch([CREATED, CREATED], "token"))
    assert "resumeToken" not in first
    assert last["resumeToken"] == "token"
    assert last["type"] == "EVENT_TYPE_CREATED"


def test_a_bookmark_is_its_token_alone():
    assert list(event_records(EventBatch([], "token"))) == [{"resumeToken": "token"}]


def test_an_event_without_a_token_has_none():
    (record,) = event_records(EventBatch([CREATED], ""))
    assert "resumeToken" not in record


def test_a_table_in_a_pipe_cuts_nothing_off(capsys: pytest.CaptureFixture[str]):
    print_table(("ID", "REASON"), [("x", "word " * 200)])
    head, row = capsys.readouterr().out.splitlines()
    assert head.split() == ["ID", "REASON"]
    assert row.count("word") == 200


@pytest.fixture
def narrow_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "40")


@pytest.mark.usefixtures("narrow_terminal")
def test_an_id_is_never_cut_into_pieces(capsys: pytest.CaptureFixture[str]):
    id = "01a20961-dbac-7629-8305-247b1da8ec0b"
    print_table(("ID", "TASK", "EXECUTION TIME"), [(id, "echo", "2030-01-01T12:05:00.000Z")])
    _, row = capsys.readouterr().out.splitlines()
    assert row.split() == [id, "echo", "2030-01-01T12:05:00.000Z"]


@pytest.mark.usefixtures("narrow_terminal")
def test_sentences_are_broken_where_the_terminal_ends(capsys: pytest.CaptureFixture[str]):
    print_table(("TASK", "DESCRIPTION"), [("echo", "word " * 20)], prose=True)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) > 2
    assert max(map(len, lines[1:])) <= 40


def test_square_brackets_are_text_and_not_markup(capsys: pytest.CaptureFixture[str]):
    print_table(("ID",), [("[bold]x[/bold] :smile:",)])
    assert "[bold]x[/bold] :smile:" in capsys.readouterr().out


def test_details_leave_out_what_is_not_set(capsys: pytest.CaptureFixture[str]):
    print_details(instance_details(INSTANCE, NOW))
    out = capsys.readouterr().out
    assert "2030-01-01T12:05:00.000Z (in 5 min)" in out
    assert "grüße" in out
    assert "finished" not in out
    assert "error" not in out


def test_bytes_that_are_no_text_are_counted():
    assert payload_text(b"\xff\x00") == "(2 bytes, not text; --json shows them in base64)"


def test_a_long_text_is_cut_and_its_size_told():
    shown = payload_text(b"x" * 5000)
    assert len(shown) < 2100
    assert "5,000 bytes" in shown


def test_an_event_is_one_line_with_its_error():
    error = InstanceError(reason="TASK_FAILED", message="first line\nsecond line")
    failed = replace(INSTANCE, state=State.FAILED, attempt=2, error=error)
    line = event_line(replace(CREATED, type=EventType.UPDATED, instance=failed)).plain
    assert line.startswith("2030-01-01T12:00:00.000Z  UPDATED ")
    assert "i-1  echo  attempt 2" in line
    assert "TASK_FAILED: first line" in line
    assert "\n" not in line


def test_a_resync_says_what_to_do():
    line = event_line(replace(CREATED, type=EventType.RESYNC, instance=None)).plain
    assert "RESYNC" in line
    assert "read anew" in line


def test_an_attempt_is_a_row_with_the_first_line_of_its_error():
    begun = datetime(2030, 1, 1, tzinfo=UTC)
    broken = InstanceError(reason="BROKEN", message="it broke\nand more")
    attempts = (
        an_attempt(1, start_time=begun, end_time=begun + timedelta(seconds=2), error=broken),
        an_attempt(2, end_time=begun),
    )
    assert list(attempt_rows(replace(INSTANCE, attempts=attempts))) == [
        ("1", "2030-01-01T00:00:00.000Z", "2 s", "node-a", "BROKEN: it broke"),
        ("2", "never (ended 2030-01-01T00:00:00.000Z)", "", "node-a", ""),
    ]
