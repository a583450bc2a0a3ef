"""One message an attempt, and if asked for the wait for its result."""

import json
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, ClassVar
from uuid import UUID, uuid5

from celery import Celery
from celery.exceptions import CeleryError
from kombu.exceptions import KombuError, OperationalError

from later_core import Context, Task, TaskError, parse_parameters
from later_plugin_celery.order import Order

#: Names the ids that are made here (RFC 9562, version 5).
_IDS = UUID("2c5a5d39-6d0c-5c4e-9f6c-0d8a4a1d7b55")
#: How often a result is asked for, in seconds.
_STEP = 0.1


class _Sent:
    """A task that was sent, as far as a backend needs it.

    Celery's own ``AsyncResult`` says only when it is collected that the result is no longer waited for, and
    by then opens a connection for that, where there is none any more.
    """

    def __init__(self, id: str) -> None:
        self.id = id
        self.ignored = False  # set by Celery


class SendTask(Task):
    """Sends a task to a broker of Celery's. It runs in a thread, since Celery's client waits."""

    name = "celery"
    description = "Sends a task to the workers of Celery."
    parameters_schema: ClassVar[Mapping[str, Any]] = Order.model_json_schema()

    def __init__(self, app: Celery | None) -> None:
        self._app = app

    def run(self, context: Context) -> str:
        order = parse_parameters(Order, context.parameters)
        if self._app is None:
            raise TaskError(
                "the setting celery_broker is missing", reason="NOT_CONFIGURED", is_final=True
            )
        if order.wait is not None and not self._app.conf.result_backend:
            raise TaskError(
                "wait: the setting celery_result_backend is missing",
                reason="INVALID_PARAMETERS",
                is_final=True,
            )
        sent = self._send(self._app, order, context)
        if order.wait is None:
            return json.dumps({"task_id": sent.id})
        try:
            return _awaited(self._app, sent.id, order.wait, context)
        finally:
            _no_longer_waited_for(self._app, sent)

    def _send(self, app: Celery, order: Order, context: Context) -> _Sent:
        try:
            sent: _Sent = app.send_task(
                order.task,
                args=list(order.args),
                kwargs=dict(order.kwargs),
                task_id=task_id(context.instance.id, context.attempt),
                queue=order.queue,
                priority=order.priority,
                expires=order.expires,
                headers=_headers(context),
                ignore_result=order.wait is None,
                result_cls=_Sent,
                retry=False,
            )
        except (
            KombuError,
            CeleryError,
            OSError,
            *app.connection_for_write().connection_errors,
        ) as error:
            raise TaskError(f"the broker took nothing: {error}", reason="BROKER_FAILED") from error
        return sent


def task_id(instance_id: str, attempt: int) -> str:
    """The id of Celery's task: always the same for the same attempt, another for each."""
    return str(uuid5(_IDS, f"{attempt} {instance_id}"))


def _headers(context: Context) -> Mapping[str, Any]:
    """Whose attempt it is, and its span where somebody traces (W3C Trace Context)."""
    headers = {"later_instance": context.instance.id, "later_attempt": context.attempt}
    return headers | ({"traceparent": context.trace_parent} if context.trace_parent else {})


def _awaited(app: Celery, id: str, seconds: float, context: Context) -> str:
    """The result, asked for now and then: a thread that waits for news could not be stopped."""
    pause = threading.Event()
    for _ in range(max(1, round(seconds / _STEP))):
        try:
            found = app.backend.get_task_meta(id)
        except (OperationalError, OSError) as error:
            raise TaskError(f"no result: {error}", reason="BACKEND_FAILED") from error
        if found["status"] in {"SUCCESS", "FAILURE", "REVOKED"}:
            return _concluded(id, found)
        if context.is_cancelled:
            break
        pause.wait(_STEP)
    raise TaskError(
        f"no result within {seconds:g} s",
        reason="WAIT_TIMEOUT",
        result=json.dumps({"task_id": id}).encode(),
    )


def _no_longer_waited_for(app: Celery, sent: _Sent) -> None:
    """A backend that tells of results would tell of this one for as long as the server runs.

    In the thread that sent it: Celery has a backend for each thread.
    """
    away = getattr(app.backend, "connection_errors", ())
    with suppress(KombuError, OSError, *away):  # and with it what it would have told
        app.backend.remove_pending_result(sent)


def _concluded(id: str, found: Mapping[str, Any]) -> str:
    value, state = found.get("result"), found["status"]
    result = json.dumps(
        {"task_id": id, "state": state, "result": value}, default=repr, ensure_ascii=False
    )
    if state != "SUCCESS":
        raise TaskError(
            f"Celery's task ended with {state}: {value!r}",
            reason="CELERY_TASK_FAILED",
            result=result.encode(errors="replace"),
        )
    return result
