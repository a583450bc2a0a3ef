"""A Celery app that only sends."""

from collections.abc import Mapping
from typing import Any

from celery import Celery


def app_of(settings: Mapping[str, Any]) -> Celery:
    """One that fails in time: whether to try again is for Later to say."""
    timeout = settings["celery_timeout"]
    broker = settings["celery_broker"]
    if broker.startswith(("amqp", "pyamqp")):
        # The broker confirms each message once it is safe there.
        transport = {"confirm_publish": True, "read_timeout": timeout, "write_timeout": timeout}
    else:
        transport = {"socket_timeout": timeout, "socket_connect_timeout": timeout}
    app = Celery(
        "later",
        broker=broker,
        backend=settings["celery_result_backend"] or None,
        set_as_current=False,
    )
    app.conf.update(
        broker_connection_timeout=timeout,
        broker_transport_options=transport | {"max_retries": 0},
        result_backend_transport_options={"retry_policy": {"max_retries": 1, "timeout": timeout}},
        redis_socket_timeout=timeout,
        redis_socket_connect_timeout=timeout,
        task_publish_retry=False,
    )
    return app
