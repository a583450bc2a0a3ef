"""run_task calls a task as a node calls it."""

from typing import Literal

import pytest
from pydantic import BaseModel

from later_core import Context, Task, TaskError, parse_parameters
from later_core.model.outcome import Failed, Succeeded
from later_core.testing.tasks import RecordingTask, run_task


class Order(BaseModel):
    size: Literal["small", "large"]
    names: list[str] = []


class Typed(Task):
    name = "typed"

    def run(self, context: Context) -> str:
        order = parse_parameters(Order, context.parameters)
        return f"{order.size} {context.instance.id} {context.attempt}"


async def test_a_success_has_the_result() -> None:
    assert await run_task(RecordingTask(), b"hello") == Succeeded(result=b"hello")
    outcome = await run_task(Typed(), {"size": "small"}, id="a", attempt=3)
    assert outcome == Succeeded(result=b"small a 3")


async def test_a_failure_says_whether_a_retry_may_follow() -> None:
    async def fail(context: Context) -> None:
        raise TaskError("no", reason="NO", is_final=True, result=b"half")

    outcome = await run_task(RecordingTask(fail))
    assert isinstance(outcome, Failed)
    assert (outcome.error.reason, outcome.is_final, outcome.result) == ("NO", True, b"half")


@pytest.mark.parametrize(
    ("parameters", "complaints"),
    [
        ('{"size": "hunter2", "names": ["a", 1]}', ["size: ", "names.1: "]),
        ("", ["size: Field required"]),
        ("{no", ["parameters: Invalid JSON"]),
    ],
)
async def test_wrong_parameters_are_named_by_their_paths_and_never_repeated(
    parameters: str, complaints: list[str]
) -> None:
    outcome = await run_task(Typed(), parameters)
    assert isinstance(outcome, Failed)
    assert (outcome.error.reason, outcome.is_final) == ("INVALID_PARAMETERS", True)
    assert [c for c in complaints if c not in outcome.error.message] == []
    assert "hunter2" not in outcome.error.message
