"""Log lines: JSON for programs, text for people, from structlog and the standard library alike."""

import asyncio
import io
import json
import logging
import warnings
from datetime import datetime, timedelta
from typing import Any

import grpc
import h2.config
import h2.connection
import h2.events
import pytest
import structlog
from grpc._cython import cygrpc

from later_core.telemetry.logs import configure_logging


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def log_once_at_each_level() -> None:
    log = structlog.get_logger("later_core.engine")
    log.debug("window filled", size=3)
    log.info("server ready", address="127.0.0.1:9081")
    log.warning("loop blocked")


def test_away_from_a_terminal_each_line_is_json_with_a_utc_time() -> None:
    stream = io.StringIO()
    configure_logging(verbose=1, format="auto", stream=stream)
    structlog.get_logger("later_core.app").info("server ready", address="a", at=timedelta(1))

    (line,) = lines(stream)
    assert line["event"] == "server ready"
    assert (line["level"], line["logger"], line["address"]) == ("info", "later_core.app", "a")
    assert line["at"] == "1 day, 0:00:00"
    assert line["timestamp"].endswith("Z")
    assert datetime.fromisoformat(line["timestamp"]).utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    ("variables", "is_coloured"),
    [({}, True), ({"NO_COLOR": "1"}, False), ({"NO_COLOR": ""}, True), ({"TERM": "dumb"}, False)],
    ids=str,
)
def test_a_terminal_has_colours_unless_it_cannot_or_nobody_wants_them(
    variables: dict[str, str], is_coloured: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in ({"TERM": "xterm-256color"} | variables).items():
        monkeypatch.setenv(name, value)
    stream = Terminal()
    configure_logging(verbose=1, format="auto", stream=stream)
    structlog.get_logger("later_core.app").info("server ready")
    assert "server ready" in stream.getvalue()
    assert ("\x1b[" in stream.getvalue()) is is_coloured


@pytest.mark.parametrize(("verbose", "count"), [(-1, 1), (0, 1), (1, 2), (2, 3), (9, 3)], ids=str)
def test_the_verbosity_decides_what_is_said(verbose: int, count: int) -> None:
    stream = io.StringIO()
    configure_logging(verbose=verbose, format="json", stream=stream)
    log_once_at_each_level()
    assert len(lines(stream)) == count


def test_the_standard_library_is_routed_the_same_way() -> None:
    stream = io.StringIO()
    configure_logging(verbose=1, format="json", stream=stream)
    logging.getLogger("some.plugin").info("hello %s", "you", extra={"size": 3})
    logging.getLogger("some.plugin").debug("too small to tell")

    (line,) = lines(stream)
    assert (line["event"], line["logger"], line["size"]) == ("hello you", "some.plugin", 3)


@pytest.mark.parametrize("name", ["pymongo.topology", "motor", "grpc._cython", "asyncio"])
def test_noisy_libraries_are_heard_from_warnings_on(name: str) -> None:
    stream = io.StringIO()
    configure_logging(verbose=2, format="json", stream=stream)
    logging.getLogger(name).info("chatter")
    logging.getLogger(name).warning("trouble")
    assert [line["event"] for line in lines(stream)] == ["trouble"]


async def send_a_header_that_is_no_text(served: grpc.aio.Server) -> None:
    port = served.add_insecure_port("127.0.0.1:0")
    await served.start()
    http = h2.connection.H2Connection(h2.config.H2Configuration(validate_outbound_headers=False))
    http.initiate_connection()
    headers = {":method": "POST", ":scheme": "http", ":path": "/none/None", ":authority": "later"}
    headers |= {"te": "trailers", "content-type": "application/grpc"}
    http.send_headers(1, [*headers.items(), (b"x-name", b"\xff\xfe")], end_stream=True)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(http.data_to_send())
    ended = False
    while not ended:
        events = http.receive_data(await reader.read(65536))
        ended = any(isinstance(event, h2.events.StreamEnded) for event in events)
        writer.write(http.data_to_send())
    writer.close()
    await writer.wait_closed()
    await served.stop(None)


async def told_of_a_header_that_is_no_text(verbose: int) -> str:
    stream = io.StringIO()
    configure_logging(verbose=verbose, format="text", stream=stream)
    async with asyncio.timeout(30):
        await send_a_header_that_is_no_text(grpc.aio.server())
    return stream.getvalue()


async def test_a_header_that_is_no_text_is_told_in_a_line_to_who_asks_for_all() -> None:
    assert await told_of_a_header_that_is_no_text(verbose=1) == ""
    said = await told_of_a_header_that_is_no_text(verbose=2)
    (line,) = [line for line in said.splitlines() if "cygrpc" in line]
    assert "[debug" in line
    assert r"Invalid encoding on b'\xff\xfe'" in line
    assert "Traceback" not in said


def log_of_grpc(error: Exception, message: str) -> None:
    try:
        raise error
    except type(error):
        logging.getLogger(cygrpc.__name__).exception(message, "/later.v1.TaskService/ListTasks")


GONE = "ExecuteBatchError raised in core by servicer method [%s]"


def test_a_client_that_is_gone_is_told_in_a_line_to_who_asks_for_all() -> None:
    stream = io.StringIO()
    configure_logging(verbose=0, format="json", stream=stream)
    log_of_grpc(cygrpc.ExecuteBatchError("it is gone"), GONE)
    assert lines(stream) == []

    configure_logging(verbose=2, format="json", stream=stream)
    log_of_grpc(cygrpc.ExecuteBatchError("it is gone"), GONE)
    (line,) = lines(stream)
    assert (line["level"], line["event"]) == ("debug", GONE % "/later.v1.TaskService/ListTasks")
    assert "exception" not in line


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ValueError("a fault"), GONE),
        (cygrpc.ExecuteBatchError("a fault"), "Unexpected [%s] raised by servicer method"),
    ],
)
def test_other_errors_of_grpc_are_told_with_their_traceback(error: Exception, message: str) -> None:
    stream = io.StringIO()
    configure_logging(verbose=0, format="json", stream=stream)
    log_of_grpc(error, message)
    (line,) = lines(stream)
    assert line["level"] == "error"
    assert "a fault" in line["exception"]


def test_a_traceback_stays_inside_its_json_line_and_shows_no_local_variables() -> None:
    stream = io.StringIO()
    configure_logging(verbose=1, format="json", stream=stream)
    parameters = b"very" + b"private"
    try:
        raise ValueError(len(parameters))
    except ValueError:
        structlog.get_logger("x").exception("task failed")

    (line,) = lines(stream)
    assert "ValueError: 11" in line["exception"]
    assert "veryprivate" not in stream.getvalue()


@pytest.mark.parametrize(("stream", "coloured"), [(Terminal(), True), (io.StringIO(), False)])
def test_text_is_coloured_on_a_terminal_alone(stream: io.StringIO, coloured: bool) -> None:
    configure_logging(verbose=1, format="text", stream=stream)
    structlog.get_logger("x").info("server ready", address="127.0.0.1:9081")
    assert "server ready" in stream.getvalue()
    assert ("\x1b[" in stream.getvalue()) is coloured


def test_auto_is_text_on_a_terminal() -> None:
    stream = Terminal()
    configure_logging(verbose=1, format="auto", stream=stream)
    structlog.get_logger("x").info("server ready")
    assert not stream.getvalue().startswith("{")


def test_text_from_strangers_cannot_forge_a_line_or_steer_the_terminal() -> None:
    stream = io.StringIO()
    configure_logging(verbose=1, format="text", stream=stream)
    structlog.get_logger("x").info("echo", message="one\n2030 [error] forged \x1b[2J")
    assert len(stream.getvalue().splitlines()) == 1
    assert "\x1b" not in stream.getvalue()


def test_a_field_called_message_and_text_of_any_kind_are_kept() -> None:
    stream = io.StringIO()
    configure_logging(verbose=1, format="json", stream=stream)
    structlog.get_logger("x").info("echo", message="broken \udc00 text", raw=b"\xff")
    (line,) = lines(stream)
    assert (line["event"], line["message"], line["raw"]) == (
        "echo",
        "broken \udc00 text",
        "b'\\xff'",
    )


def test_a_second_call_replaces_the_first() -> None:
    first, second = io.StringIO(), io.StringIO()
    log = structlog.get_logger("x")
    configure_logging(verbose=1, format="json", stream=first)
    configure_logging(verbose=0, format="json", stream=second)
    log.info("news")
    log.warning("trouble")
    assert first.getvalue() == ""
    assert [line["event"] for line in lines(second)] == ["trouble"]


def test_warnings_become_log_lines() -> None:
    stream = io.StringIO()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        configure_logging(verbose=1, format="json", stream=stream)
        warnings.warn("old news", DeprecationWarning, stacklevel=1)
        logging.captureWarnings(capture=False)
    (line,) = lines(stream)
    assert "old news" in line["event"]
