"""The task amqp against a real RabbitMQ."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aio_pika
import pytest
from aio_pika.abc import AbstractIncomingMessage, AbstractQueue
from later_plugin_amqp.task import Publish

from later_core.model.outcome import Failed, Outcome, Succeeded
from later_core.testing.tasks import run_task

Make = Callable[..., Publish]

README = (Path(__file__).parents[1] / "README.md").read_text()


def result(outcome: Outcome) -> dict[str, Any]:
    assert isinstance(outcome, Succeeded), outcome
    found: dict[str, Any] = json.loads(outcome.result)
    return found


def failure(outcome: Outcome) -> Failed:
    assert isinstance(outcome, Failed), outcome
    return outcome


@pytest.fixture
async def queue(amqp_url: str) -> AsyncIterator[AbstractQueue]:
    connection = await aio_pika.connect(amqp_url, timeout=30)
    async with connection, connection.channel() as channel:
        queue = await channel.declare_queue("orders", durable=True)
        exchange = await channel.declare_exchange("shop", "topic")
        await queue.bind(exchange, "order.*")
        yield queue
        await queue.delete(if_unused=False, if_empty=False)
        await exchange.delete()


async def taken(queue: AbstractQueue) -> AbstractIncomingMessage:
    message = await queue.get(no_ack=True, timeout=30)
    assert message is not None
    return message


async def test_the_command_of_the_readme_does_what_it_says(
    amqp_url: str, queue: AbstractQueue, make: Make
) -> None:
    (command,) = re.findall(r"^    later create amqp '(.+)' --in 5s$", README, re.MULTILINE)
    outcome = await run_task(make(amqp_url=amqp_url), command, id="order-4711", attempt=2)
    documented = json.loads(re.findall(r"^    (\{.+\})$", README, re.MULTILINE)[0])
    assert result(outcome) == documented
    message = await taken(queue)
    assert message.body == b'{"order":4711}'
    assert (message.message_id, message.app_id) == ("order-4711", "later")
    assert message.content_type == "application/json"
    assert message.delivery_mode is aio_pika.DeliveryMode.PERSISTENT
    assert message.headers == {"later_instance": "order-4711", "later_attempt": 2}


TRACE_PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.mark.parametrize(
    ("own", "seen"), [({}, TRACE_PARENT), ({"traceparent": "my own"}, "my own")]
)
async def test_the_trace_goes_on_at_the_consumer_unless_the_caller_names_another(
    amqp_url: str, queue: AbstractQueue, make: Make, own: dict[str, str], seen: str
) -> None:
    order = {"routing_key": queue.name, "body": "x", "headers": own}
    result(await run_task(make(amqp_url=amqp_url), order, trace_parent=TRACE_PARENT))
    assert (await taken(queue)).headers["traceparent"] == seen


async def test_everything_that_a_message_has_can_be_said(
    amqp_url: str, queue: AbstractQueue, make: Make
) -> None:
    order = {
        "exchange": "shop",
        "routing_key": "order.new",
        "body": "grüße",
        "headers": {"north": True, "count": 3, "name": "ä"},
        "content_type": "text/x-tea",
        "persistent": False,
        "priority": 7,
        "expiration": 60,
    }
    result(await run_task(make(amqp_url=amqp_url), order, id="ü" * 128))
    message = await taken(queue)
    assert (message.exchange, message.routing_key) == ("shop", "order.new")
    assert message.body.decode() == "grüße"
    assert message.headers["north"] is True
    assert (message.headers["count"], message.headers["name"]) == (3, "ä")
    assert (message.content_type, message.priority) == ("text/x-tea", 7)
    assert message.delivery_mode is aio_pika.DeliveryMode.NOT_PERSISTENT
    assert message.expiration == 60
    # 256 bytes do not fit.
    assert re.fullmatch("[0-9a-f]{64}", message.message_id or "")
    assert message.headers["later_instance"] == "ü" * 128


async def test_what_no_queue_gets_is_a_failure_unless_that_is_wanted(
    amqp_url: str, queue: AbstractQueue, make: Make
) -> None:
    task = make(amqp_url=amqp_url)
    failed = failure(await run_task(task, {"routing_key": "nobody"}))
    assert (failed.error.reason, failed.is_final) == ("UNROUTABLE", False)
    assert failed.error.message == "routing_key: no queue gets what is sent to 'nobody'"
    result(await run_task(task, {"routing_key": "nobody", "mandatory": False}))


async def test_an_exchange_that_is_not_there_harms_no_other_message(
    amqp_url: str, queue: AbstractQueue, make: Make
) -> None:
    task = make(amqp_url=amqp_url)
    orders = [{"routing_key": "orders"}, {"routing_key": "a", "exchange": "no-such"}] * 10
    async with asyncio.TaskGroup() as group:
        runs = [group.create_task(run_task(task, order)) for order in orders]
    outcomes = [run.result() for run in runs]
    for outcome in outcomes[::2]:
        result(outcome)
    for outcome in outcomes[1::2]:
        failed = failure(outcome)
        assert (failed.error.reason, failed.is_final) == ("UNROUTABLE", False)
        assert failed.error.message == "exchange: there is no 'no-such'"


async def test_a_connection_that_broke_is_made_anew(
    amqp_url: str, queue: AbstractQueue, make: Make
) -> None:
    task = make(amqp_url=amqp_url)
    result(await run_task(task, {"routing_key": "orders"}))
    line = task._broker._lines[asyncio.get_running_loop()]
    assert line.connection
    await line.connection.close()
    result(await run_task(task, {"routing_key": "orders"}))


async def test_a_broker_that_is_away_may_be_there_later(make: Make) -> None:
    outcome = await run_task(make(amqp_url="amqp://127.0.0.1:1/"), {"routing_key": "a"})
    failed = failure(outcome)
    assert (failed.error.reason, failed.is_final) == ("BROKER_FAILED", False)


async def test_a_broker_that_says_nothing_is_not_waited_for(make: Make) -> None:
    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with await asyncio.start_server(say_nothing, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        task = make(amqp_url=f"amqp://127.0.0.1:{port}/", amqp_timeout=0.3)
        failed = failure(await run_task(task, {"routing_key": "a"}))
    assert (failed.error.reason, failed.is_final) == ("BROKER_FAILED", False)


async def test_without_a_url_it_says_so(make: Make) -> None:
    failed = failure(await run_task(make(), {"routing_key": "a"}))
    assert (failed.error.reason, failed.is_final) == ("NOT_CONFIGURED", True)


@pytest.mark.parametrize(
    ("order", "complaint"),
    [
        ({}, "routing_key: Field required"),
        ({"routing_key": "ü" * 128}, "routing_key: Value error, at most 255 bytes"),
        ({"routing_key": "a", "body": "b", "json": None}, "body and json exclude each other"),
        ({"routing_key": "a", "headers": {"b": []}}, "headers.b"),
        ({"routing_key": "a", "headers": {"later_x": 1}}, "not the caller's to set"),
        ({"routing_key": "a", "priority": 256}, "priority: "),
        ({"routing_key": "a", "queue": "b"}, "queue: Extra inputs are not permitted"),
    ],
)
async def test_wrong_parameters_are_named_by_their_paths(
    make: Make, order: dict[str, object], complaint: str
) -> None:
    failed = failure(await run_task(make(), order))
    assert (failed.error.reason, failed.is_final) == ("INVALID_PARAMETERS", True)
    assert complaint in failed.error.message


def test_the_readme_lists_the_parameters() -> None:
    assert set(re.findall(r"`(\w+)`", README)) >= set(Publish.parameters_schema["properties"]) - {
        "json_body"
    }
