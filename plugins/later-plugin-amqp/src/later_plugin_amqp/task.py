"""One message an attempt."""

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, ClassVar

from aio_pika import DeliveryMode, Message
from aio_pika.exceptions import (
    AMQPError,
    ChannelNotFoundEntity,
    DeliveryError,
    PublishError,
)
from aiormq.exceptions import ChannelAccessRefused

from later_core import Context, Task, TaskError, parse_parameters
from later_plugin_amqp.broker import Broker
from later_plugin_amqp.order import Order


class Publish(Task):
    """Publishes a message; the instance's id is its message id."""

    name = "amqp"
    description = "Publishes a message to RabbitMQ."
    parameters_schema: ClassVar[Mapping[str, Any]] = Order.model_json_schema()

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    async def run(self, context: Context) -> str:
        order = parse_parameters(Order, context.parameters)
        if not self._broker.is_configured:
            raise TaskError(
                "the setting amqp_url is missing", reason="NOT_CONFIGURED", is_final=True
            )
        message = _message(order, context)
        try:
            await self._broker.publish(
                message,
                exchange=order.exchange,
                routing_key=order.routing_key,
                mandatory=order.mandatory,
            )
        except PublishError as error:
            raise TaskError(
                f"routing_key: no queue gets what is sent to {order.routing_key!r}",
                reason="UNROUTABLE",
            ) from error
        except ChannelNotFoundEntity as error:
            raise TaskError(
                f"exchange: there is no {order.exchange!r}", reason="UNROUTABLE"
            ) from error
        except ChannelAccessRefused as error:
            raise TaskError(str(error), reason="ACCESS_REFUSED", is_final=True) from error
        except DeliveryError as error:
            raise TaskError("the broker did not take it", reason="BROKER_FAILED") from error
        except TimeoutError as error:
            raise TaskError(
                "the broker confirmed nothing in time", reason="BROKER_FAILED"
            ) from error
        except (AMQPError, OSError) as error:
            said = str(error) or type(error).__name__
            raise TaskError(f"the broker is away: {said}", reason="BROKER_FAILED") from error
        return json.dumps({"message_id": message.message_id, "bytes": len(message.body)})


def _message(order: Order, context: Context) -> Message:
    content, kind = order.content
    return Message(
        content,
        headers={
            **_trace(context),
            **order.headers,
            "later_instance": context.instance.id,
            "later_attempt": context.attempt,
        },
        content_type=kind,
        delivery_mode=DeliveryMode.PERSISTENT if order.persistent else DeliveryMode.NOT_PERSISTENT,
        priority=order.priority,
        expiration=order.expiration,
        message_id=_message_id(context.instance.id),
        app_id="later",
    )


def _trace(context: Context) -> Mapping[str, str]:
    """The span of the attempt, where somebody traces (W3C Trace Context); the caller may name another."""
    return {"traceparent": context.trace_parent} if context.trace_parent is not None else {}


def _message_id(instance_id: str) -> str:
    """The instance's id; a digest of it where AMQP has no room for the whole (255 bytes)."""
    content = instance_id.encode()
    return instance_id if len(content) <= 255 else sha256(content).hexdigest()
