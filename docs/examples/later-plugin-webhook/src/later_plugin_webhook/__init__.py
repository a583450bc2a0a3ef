"""The task ``webhook``: posts its body to a URL, and keeps the answer."""

import json
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from later_core import Context, InstanceError, PluginSetting, Task, TaskError, hookimpl


class Webhook(Task):
    """One POST an attempt, with the instance's id as its idempotency key."""

    name = "webhook"
    description = "Posts its body to a URL."
    parameters_schema = {
        "type": "object",
        "properties": {"url": {"type": "string"}, "body": {}},
        "required": ["url"],
    }

    def __init__(self, *, timeout: float) -> None:
        self._timeout = timeout

    def run(self, context: Context) -> bytes:
        order = context.json()
        if not order["url"].startswith(("http://", "https://")):
            raise TaskError("the URL is not of http", reason="INVALID_PARAMETERS", is_final=True)
        request = Request(
            order["url"],
            method="POST",
            data=json.dumps(order.get("body")).encode(),
            headers={
                "Content-Type": "application/json",
                "Idempotency-Key": context.instance.id,
            },
        )
        try:
            with urlopen(request, timeout=self._timeout) as answer:
                content: bytes = answer.read(64 * 1024)
        except HTTPError as error:
            # The receiver will not change its mind about a request that is wrong.
            raise TaskError(
                f"the receiver answered {error.code}",
                reason="HTTP_STATUS",
                is_final=error.code < 500,
            ) from error
        except OSError as error:
            raise TaskError(f"no answer: {error}", reason="UNREACHABLE") from error
        return content

    def on_fail(self, context: Context, error: InstanceError) -> None:
        context.log.warning("webhook given up", reason=error.reason, attempts=context.attempt)


@hookimpl
def later_settings() -> Iterable[PluginSetting]:
    """How long the receiver may take."""
    return [
        PluginSetting(
            name="webhook_timeout",
            default=10.0,
            description="How long the receiver of a webhook may take to answer, in seconds.",
        )
    ]


@hookimpl
def later_tasks(settings: Mapping[str, Any]) -> Iterable[Task]:
    """What this distribution provides."""
    return [Webhook(timeout=settings["webhook_timeout"])]
