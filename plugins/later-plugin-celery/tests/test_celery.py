"""The task celery against a real Redis and a real worker."""

import ast
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from later_plugin_celery.task import SendTask, task_id

from later_core.model.outcome import Failed, Outcome, Succeeded
from later_core.testing.tasks import run_task

Make = Callable[..., SendTask]

README = (Path(__file__).parents[1] / "README.md").read_text()


@pytest.fixture
def shipped(redis_url: str) -> Iterator[Callable[[], list[Any]]]:
    """Takes the next thing that the worker has done."""
    with redis.Redis.from_url(redis_url) as client:
        client.delete("shipped")

        def shipped() -> list[Any]:
            found = client.blpop("shipped", timeout=60)
            assert found, "no worker took it"
            done: list[Any] = ast.literal_eval(found[1].decode())
            return done

        yield shipped


def result(outcome: Outcome) -> dict[str, Any]:
    assert isinstance(outcome, Succeeded), outcome
    found: dict[str, Any] = json.loads(outcome.result)
    return found


def failure(outcome: Outcome) -> Failed:
    assert isinstance(outcome, Failed), outcome
    return outcome


async def test_a_worker_does_what_the_readme_sends(
    worker: str, shipped: Callable[[], list[Any]], make: Make
) -> None:
    (command,) = re.findall(r"^    later create celery '(.+)' --in 5s$", README, re.MULTILINE)
    outcome = await run_task(make(celery_broker=worker), command, id="ü-1", attempt=2)
    sent = result(outcome)
    assert sent == {"task_id": task_id("ü-1", 2)}
    assert shipped() == [4711, True, sent["task_id"], "ü-1", 2, None]


async def test_the_trace_goes_on_at_the_worker(
    worker: str, shipped: Callable[[], list[Any]], make: Make
) -> None:
    trace_parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    order = {"task": "shop.ship", "args": [1]}
    result(await run_task(make(celery_broker=worker), order, trace_parent=trace_parent))
    assert shipped()[-1] == trace_parent


async def test_the_result_is_waited_for_if_asked_for(worker: str, make: Make) -> None:
    task = make(celery_broker=worker, celery_result_backend=worker)
    order = {"task": "shop.ship", "args": [1], "wait": 60}
    assert result(await run_task(task, order)) == {
        "task_id": task_id("one", 1),
        "state": "SUCCESS",
        "result": {"order": 1, "express": False},
    }


async def test_results_that_have_come_or_not_are_heard_of_no_longer(
    worker: str, make: Make
) -> None:
    task = make(celery_broker=worker, celery_result_backend=worker)
    result(await run_task(task, {"task": "shop.ship", "args": [1], "wait": 60}))
    order = {"task": "shop.ship", "queue": "nobody-is-there", "wait": 0.3}
    failure(await run_task(task, order, id="lost"))
    with redis.Redis.from_url(worker) as client:
        assert client.pubsub_channels("celery-task-meta-*") == []


async def test_a_failure_over_there_fails_the_attempt(worker: str, make: Make) -> None:
    task = make(celery_broker=worker, celery_result_backend=worker)
    failed = failure(await run_task(task, {"task": "shop.sink", "wait": 60}, id="sink"))
    assert (failed.error.reason, failed.is_final) == ("CELERY_TASK_FAILED", False)
    assert "no tea" in failed.error.message
    assert json.loads(failed.result)["state"] == "FAILURE"


async def test_a_result_that_does_not_come_is_not_waited_for(redis_url: str, make: Make) -> None:
    task = make(celery_broker=redis_url, celery_result_backend=redis_url)
    order = {"task": "shop.ship", "queue": "nobody-is-there", "wait": 0.3}
    failed = failure(await run_task(task, order, id="lost"))
    assert (failed.error.reason, failed.is_final) == ("WAIT_TIMEOUT", False)
    assert json.loads(failed.result) == {"task_id": task_id("lost", 1)}


async def test_a_broker_that_is_away_may_be_there_later(make: Make) -> None:
    for broker in ("redis://127.0.0.1:1/0", "amqp://127.0.0.1:1//"):
        failed = failure(await run_task(make(celery_broker=broker), {"task": "shop.ship"}))
        assert (failed.error.reason, failed.is_final) == ("BROKER_FAILED", False)


async def test_without_a_broker_it_says_so(make: Make) -> None:
    failed = failure(await run_task(make(), {"task": "shop.ship"}))
    assert (failed.error.reason, failed.is_final) == ("NOT_CONFIGURED", True)


async def test_to_wait_needs_a_backend(redis_url: str, make: Make) -> None:
    task = make(celery_broker=redis_url)
    failed = failure(await run_task(task, {"task": "shop.ship", "wait": 1}))
    assert (failed.error.reason, failed.is_final) == ("INVALID_PARAMETERS", True)
    assert failed.error.message == "wait: the setting celery_result_backend is missing"


@pytest.mark.parametrize(
    ("order", "complaint"),
    [
        ({}, "task: Field required"),
        ({"task": ""}, "task: String should have at least 1"),
        ({"task": "a", "args": 1}, "args: "),
        ({"task": "a", "kwargs": []}, "kwargs: "),
        ({"task": "a", "priority": 256}, "priority: "),
        ({"task": "a", "countdown": 5}, "countdown: Extra inputs are not permitted"),
    ],
)
async def test_wrong_parameters_are_named_by_their_paths(
    make: Make, order: dict[str, object], complaint: str
) -> None:
    failed = failure(await run_task(make(), order))
    assert (failed.error.reason, failed.is_final) == ("INVALID_PARAMETERS", True)
    assert complaint in failed.error.message


def test_an_id_belongs_to_one_attempt_of_one_instance() -> None:
    ids = {task_id(id, attempt) for id in ("a", "b", "1 a") for attempt in (1, 2)}
    assert len(ids) == 6
    assert task_id("a", 1) == task_id("a", 1)


def test_the_readme_lists_the_parameters() -> None:
    names = set(re.findall(r"`(\w+)`", README))
    assert names >= set(SendTask.parameters_schema["properties"])
