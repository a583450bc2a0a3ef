"""The task http against a real receiver."""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from later_plugin_http.task import Http

from later_core.model.outcome import Failed, Outcome, Succeeded
from later_core.testing.tasks import run_task

Receive = Callable[..., Awaitable[Any]]
Make = Callable[..., Http]
README = (Path(__file__).parents[1] / "README.md").read_text()


def result(outcome: Outcome) -> dict[str, Any]:
    assert isinstance(outcome, Succeeded), outcome
    found: dict[str, Any] = json.loads(outcome.result)
    return found


def failure(outcome: Outcome) -> Failed:
    assert isinstance(outcome, Failed), outcome
    return outcome


async def test_it_sends_and_keeps_the_answer(receive: Receive, make: Make) -> None:
    receiver = await receive()
    order = {
        "url": f"{receiver.url}?a=1",
        "method": "PUT",
        "headers": {"X-Shop": "north", "content-type": "application/vnd.shop+json"},
        "json": {"ä": [1, None]},
    }
    outcome = await run_task(make(), order, id="order 4711 ü", attempt=3)
    assert result(outcome) == {
        "status": 200,
        "content_type": "application/json; charset=utf-8",
        "body": '{"taken": true}',
        "truncated": False,
    }
    (request,) = receiver.requests
    assert (request.method, request.path_qs) == ("PUT", "/hooks?a=1")
    assert receiver.bodies == ['{"ä":[1,null]}'.encode()]
    assert request.headers["X-Shop"] == "north"
    assert request.headers.getall("Content-Type") == ["application/vnd.shop+json"]
    assert request.headers["Idempotency-Key"] == "order%204711%20%C3%BC"
    assert request.headers["Later-Attempt"] == "3"
    assert "Later-Signature" not in request.headers
    assert "traceparent" not in request.headers


TRACE_PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.mark.parametrize(
    ("headers", "seen"), [({}, [TRACE_PARENT]), ({"Traceparent": "my own"}, ["my own"])]
)
async def test_the_trace_goes_on_at_the_receiver_unless_the_caller_names_another(
    receive: Receive, make: Make, headers: dict[str, str], seen: list[str]
) -> None:
    receiver = await receive()
    order = {"url": receiver.url, "headers": headers}
    result(await run_task(make(), order, trace_parent=TRACE_PARENT))
    (request,) = receiver.requests
    assert request.headers.getall("traceparent") == seen


@pytest.mark.parametrize(
    ("more", "body", "content_type"),
    [
        ({"body": "grüße"}, "grüße".encode(), "text/plain; charset=utf-8"),
        ({"json": None}, b"null", "application/json"),
        ({}, b"", None),
    ],
)
async def test_bodies_are_text_json_or_none(
    receive: Receive, make: Make, more: dict[str, object], body: bytes, content_type: str | None
) -> None:
    receiver = await receive()
    result(await run_task(make(), {"url": receiver.url} | more))
    assert receiver.bodies == [body]
    (request,) = receiver.requests
    if content_type is not None:
        assert request.headers["Content-Type"] == content_type


async def test_the_readme_verifies_a_signature(receive: Receive, make: Make) -> None:
    (source,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    scope: dict[str, Any] = {}
    exec(source, scope)
    is_genuine = scope["is_genuine"]
    receiver = await receive()
    task = make(http_signing_secret="hush")
    result(await run_task(task, {"url": receiver.url, "body": "five"}))
    (headers,), (body,) = [r.headers for r in receiver.requests], receiver.bodies
    assert is_genuine(b"hush", headers, body)
    assert not is_genuine(b"hash", headers, body)
    assert not is_genuine(b"hush", headers, b"fife")
    assert not is_genuine(b"hush", dict(headers) | {"Later-Timestamp": "1900000000"}, body)

    task._now = lambda: datetime(2020, 1, 1, tzinfo=UTC)
    result(await run_task(task, {"url": receiver.url, "body": "five"}))
    assert not is_genuine(b"hush", receiver.requests[1].headers, body)


@pytest.mark.parametrize(
    ("status", "rules", "succeeds", "is_final"),
    [
        (204, {}, True, None),
        (404, {}, False, True),
        (301, {}, False, True),
        (408, {}, False, False),
        (429, {}, False, False),
        (503, {}, False, False),
        (404, {"success": [200, "404"]}, True, None),
        (200, {"success": ["204"]}, False, True),
        (503, {"retry": []}, False, True),
        (409, {"retry": ["4xx"]}, False, False),
    ],
)
async def test_the_status_decides(
    receive: Receive,
    make: Make,
    status: int,
    rules: dict[str, object],
    succeeds: bool,
    is_final: bool | None,
) -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(status=status)

    receiver = await receive(answer)
    outcome = await run_task(make(), {"url": receiver.url} | rules)
    if succeeds:
        assert result(outcome)["status"] == status
        return
    failed = failure(outcome)
    assert (failed.error.reason, failed.is_final) == ("HTTP_STATUS", is_final)
    assert f"answered {status}" in failed.error.message
    assert json.loads(failed.result)["status"] == status


@pytest.mark.parametrize(
    ("said", "wait"),
    [
        ("120", timedelta(minutes=2)),
        ("Tue, 01 Jan 2030 00:01:00 GMT", timedelta(minutes=1)),
        ("9" * 50, timedelta(days=365)),
        ("soon", None),
        ("-5", None),
        ("Tue, 99 Jan 2030 00:01:00 GMT", None),
        (None, None),
    ],
)
async def test_a_receiver_may_say_when_to_come_again(
    receive: Receive, make: Make, said: str | None, wait: timedelta | None
) -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(status=503, headers={"Retry-After": said} if said else None)

    receiver, task = await receive(answer), make()
    task._now = lambda: datetime(2030, 1, 1, tzinfo=UTC)
    assert failure(await run_task(task, {"url": receiver.url})).retry_after == wait


async def test_of_an_endless_answer_the_beginning_is_kept(receive: Receive, make: Make) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        stream = web.StreamResponse()
        await stream.prepare(request)
        while True:
            await stream.write(b"x" * 1000)

    receiver = await receive(answer)
    kept = result(await run_task(make(http_result_bytes=2500), {"url": receiver.url}))
    assert (kept["body"], kept["truncated"]) == ("x" * 2500, True)


async def test_an_answer_just_as_long_as_the_bound_is_whole(receive: Receive, make: Make) -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(body=b"\xff" + b"x" * 99)

    receiver = await receive(answer)
    kept = result(await run_task(make(http_result_bytes=100), {"url": receiver.url}))
    assert (kept["body"], kept["truncated"]) == ("\ufffd" + "x" * 99, False)


async def test_the_longest_result_is_one_that_later_keeps(receive: Receive, make: Make) -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(body=b"\0" * 2_000_000, content_type="text/plain", charset="no-such")

    receiver = await receive(answer)
    outcome = await run_task(make(http_result_bytes=10_000_000), {"url": receiver.url})
    assert len(result(outcome)["body"]) == 128 * 1024
    assert isinstance(outcome, Succeeded)
    assert outcome.note is None


@pytest.mark.parametrize("charset", ["unicode_escape", "hex", "idna", "utf-16", "no-such"])
async def test_whatever_charset_an_answer_claims_it_is_kept_as_text(
    receive: Receive, make: Make, charset: str
) -> None:
    async def answer(request: web.Request) -> web.Response:
        headers = {"Content-Type": f"text/plain; charset={charset}"}
        return web.Response(body=rb"a\ud800..b" + b"\xff\0\x80", headers=headers)

    receiver = await receive(answer)
    assert result(await run_task(make(), {"url": receiver.url}))["body"]


async def test_an_answer_that_does_not_come_is_not_waited_for(receive: Receive, make: Make) -> None:
    async def answer(request: web.Request) -> web.Response:
        await asyncio.Event().wait()
        raise AssertionError

    receiver = await receive(answer)
    failed = failure(await run_task(make(), {"url": receiver.url, "timeout": 0.2}))
    assert (failed.error.reason, failed.is_final) == ("HTTP_TIMEOUT", False)
    failed = failure(await run_task(make(http_timeout=0.2), {"url": receiver.url}))
    assert failed.error.reason == "HTTP_TIMEOUT"


async def test_nobody_there_may_be_there_later(make: Make) -> None:
    failed = failure(await run_task(make(), {"url": "http://127.0.0.1:1/"}))
    assert (failed.error.reason, failed.is_final) == ("UNREACHABLE", False)


async def test_a_connection_that_breaks_is_no_answer(make: Make) -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        failed = failure(await run_task(make(), {"url": f"http://127.0.0.1:{port}/"}))
    assert (failed.error.reason, failed.is_final) == ("UNREACHABLE", False)


async def test_one_connection_serves_one_request_after_the_other(
    receive: Receive, make: Make
) -> None:
    receiver, task = await receive(), make()
    for _ in range(5):
        result(await run_task(task, {"url": receiver.url}))
    assert len(receiver.connections) == 1


async def test_the_pool_is_closed_with_the_server(receive: Receive, make: Make) -> None:
    receiver, task = await receive(), make()
    async with task._connections:
        result(await run_task(task, {"url": receiver.url}))
        session = task._connections.session()
    assert session.closed


async def test_redirects_are_followed_as_far_as_is_asked_for(receive: Receive, make: Make) -> None:
    async def answer(request: web.Request) -> web.Response:
        step = int(request.query.get("step", "0"))
        if step == 2:
            return web.Response(text="there")
        return web.Response(status=307, headers={"Location": f"?step={step + 1}"})

    receiver = await receive(answer)
    order = {"url": receiver.url, "json": 1, "headers": {"Authorization": "hush"}}
    outcome = await run_task(make(), order | {"max_redirects": 2})
    assert result(outcome)["body"] == "there"
    assert receiver.bodies == [b"1"] * 3
    assert [request.headers["Authorization"] for request in receiver.requests] == ["hush"] * 3
    failed = failure(await run_task(make(), order | {"max_redirects": 1}))
    assert (json.loads(failed.result)["status"], failed.is_final) == (307, True)


async def test_another_origin_learns_no_secret(receive: Receive, make: Make) -> None:
    other = await receive()

    async def answer(request: web.Request) -> web.Response:
        return web.Response(status=308, headers={"Location": other.url})

    receiver = await receive(answer)
    task = make(http_signing_secret="hush")
    order = {"url": receiver.url, "headers": {"X-Key": "hush"}, "max_redirects": 1, "body": "a"}
    result(await run_task(task, order))
    (first,), (second,) = receiver.requests, other.requests
    assert {"X-Key", "Later-Signature"} <= set(first.headers)
    assert not {"X-Key", "Later-Signature", "Later-Timestamp"} & set(second.headers)
    assert second.headers["Idempotency-Key"] == "one"
    assert other.bodies == [b"a"]


async def test_a_redirect_that_would_change_the_request_is_not_followed(
    receive: Receive, make: Make
) -> None:
    async def answer(request: web.Request) -> web.Response:
        if request.query:
            return web.Response(text="there")
        return web.Response(status=303, headers={"Location": "?seen=1"})

    receiver = await receive(answer)
    order = {"url": receiver.url, "max_redirects": 3}
    assert failure(await run_task(make(), order)).is_final
    assert result(await run_task(make(), order | {"method": "GET"}))["body"] == "there"


async def test_a_proxy_gets_every_request(receive: Receive, make: Make) -> None:
    proxy = await receive()
    address = proxy.url.removesuffix("/hooks")
    task = make(http_proxy=address, http_allowed_networks="")
    result(await run_task(task, {"url": "http://shop.invalid/hooks", "body": "a"}))
    (request,) = proxy.requests
    assert request.headers["Host"] == "shop.invalid"


@pytest.mark.parametrize(
    ("order", "complaint"),
    [
        ({}, "url: Field required"),
        ({"url": "ftp://example.org"}, "url: URL scheme should be 'http' or 'https'"),
        ({"url": "file:///etc/passwd"}, "url: "),
        ({"url": "http://a.b", "methode": "GET"}, "methode: Extra inputs are not permitted"),
        ({"url": "http://a.b", "method": "BREW"}, "method: Input should be 'GET'"),
        ({"url": "http://a.b", "headers": {"A": 1}}, "headers.A: "),
        ({"url": "http://a.b", "headers": {"A": "b\r\nC: d"}}, "headers.A: "),
        ({"url": "http://a.b", "headers": {"A B": "c"}}, "headers.A B.[key]: "),
        ({"url": "http://a.b", "headers": {"Host": "c"}}, "Host is not the caller's to set"),
        ({"url": "http://a.b", "body": "a", "json": None}, "body and json exclude each other"),
        ({"url": "http://a.b", "success": ["2x"]}, "success.0"),
        ({"url": "http://a.b", "timeout": 0}, "timeout: "),
    ],
)
async def test_wrong_parameters_are_named_by_their_paths(
    make: Make, order: dict[str, object], complaint: str
) -> None:
    failed = failure(await run_task(make(), order))
    assert (failed.error.reason, failed.is_final) == ("INVALID_PARAMETERS", True)
    assert complaint in failed.error.message


async def test_the_commands_of_the_readme_do_what_they_say(receive: Receive, make: Make) -> None:
    commands = re.findall(r"^    later create http '(.+)' --in 5s$", README, re.MULTILINE)
    assert len(commands) == 2
    receiver = await receive()
    origin = receiver.url.removesuffix("/hooks")
    for command in commands:
        result(await run_task(make(), command.replace("https://example.org", origin)))
    seen = [(request.method, request.path) for request in receiver.requests]
    assert seen == [("POST", "/hooks"), ("GET", "/health")]


def test_the_schema_describes_what_the_task_takes() -> None:
    properties = Http.parameters_schema["properties"]
    documented = re.findall(
        r"^\| `(\w+)`(?:, `(\w+)`)? \| ", README.split("## What")[0], re.MULTILINE
    )
    assert set(properties) == {name for names in documented for name in names if name}
    assert Http.parameters_schema["required"] == ["url"]
