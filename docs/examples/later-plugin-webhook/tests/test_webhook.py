"""The task against a receiver of its own: no server, no database."""

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
import structlog
from later_plugin_webhook import Webhook

from later_core import Context, TaskError
from later_core.testing.builders import an_instance


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response({"/wrong": 400, "/broken": 500}.get(self.path, 200))
        self.end_headers()
        self.wfile.write(self.headers["Idempotency-Key"].encode() + b" " + body)

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""


@pytest.fixture
def receiver() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Receiver) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def context(**parameters: Any) -> Context:
    instance = an_instance(
        "order-7",
        execution_time=datetime(2030, 1, 1, tzinfo=UTC),
        parameters=json.dumps(parameters).encode(),
    )
    return Context(instance=instance, deadline=None, log=structlog.get_logger())


def test_the_answer_is_the_result(receiver: str) -> None:
    result = Webhook(timeout=5).run(context(url=receiver, body={"paid": True}))
    assert result == b'order-7 {"paid": true}'


@pytest.mark.parametrize(("path", "is_final"), [("/wrong", True), ("/broken", False)])
def test_a_refusal_is_final_only_where_another_try_is_useless(
    receiver: str, path: str, is_final: bool
) -> None:
    with pytest.raises(TaskError) as refusal:
        Webhook(timeout=5).run(context(url=receiver + path))
    assert (refusal.value.reason, refusal.value.is_final) == ("HTTP_STATUS", is_final)
