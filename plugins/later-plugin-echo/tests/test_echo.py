"""The task echo, called as the server calls it."""

import json
from datetime import UTC, datetime
from typing import ClassVar

import later_plugin_echo
import pytest
import structlog
from later_plugin_echo import Echo, later_tasks
from structlog.testing import capture_logs

from later_core import Context, Instance, TaskError
from later_core.testing.contracts import PluginContract


def context(parameters: bytes) -> Context:
    now = datetime(2030, 1, 1, tzinfo=UTC)
    instance = Instance(
        id="one", task="echo", execution_time=now, create_time=now, parameters=parameters, attempt=1
    )
    return Context(instance=instance, deadline=None, log=structlog.get_logger("echo"))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        (b'{"message": "hello"}', "hello"),
        (b"hello", "hello"),
        (b'"hello"', '"hello"'),
        (b"42", "42"),
        (b"{not json", "{not json"),
        (b"", ""),
        (b"\xff", "\ufffd"),
        (rb'{"message": "\ud800"}', "?"),
    ],
)
async def test_it_logs_its_message_and_returns_it(parameters: bytes, message: str) -> None:
    with capture_logs() as lines:
        assert await Echo().run(context(parameters)) == message
    (line,) = lines
    assert (line["event"], line["message"], line["log_level"]) == ("echo", message, "info")


@pytest.mark.parametrize(
    "value", [{}, {"message": 1}, {"message": "a", "mood": "b"}, {"massage": "a"}]
)
async def test_an_object_without_a_message_fails_for_good(value: object) -> None:
    with pytest.raises(TaskError) as caught:
        await Echo().run(context(json.dumps(value).encode()))
    assert (caught.value.reason, caught.value.is_final) == ("INVALID_PARAMETERS", True)


async def test_a_long_message_is_returned_whole_and_logged_in_part() -> None:
    with capture_logs() as lines:
        assert await Echo().run(context(b"a" * 100_000)) == "a" * 100_000
    assert len(lines[0]["message"]) == 1000


def test_the_distribution_provides_one_task() -> None:
    assert [task.name for task in later_tasks()] == ["echo"]


class TestContract(PluginContract):
    plugin = later_plugin_echo
    examples: ClassVar = {"echo": [{"message": "hello"}, "hello", b"\xff"]}
