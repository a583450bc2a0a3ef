"""Log lines: JSON for programs, text for people, from structlog and the standard library alike."""

import io
import json
import logging
import warnings
from datetime import datetime, timedelta
from typing import Any

import pytest
import structlog

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
