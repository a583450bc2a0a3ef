"""The task grpc against a real server."""

import json
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
import trustme
from later_plugin_grpc.task import Grpc

from later_core.model.outcome import Failed, Outcome, Succeeded
from later_core.testing.tasks import run_task

ServeShop = Callable[..., Awaitable[Any]]
Make = Callable[..., Grpc]

README = (Path(__file__).parents[1] / "README.md").read_text()
SHIP = "shop.v1.OrderService/ShipOrder"
REQUEST = {
    "orderId": "4711 ü",
    "items": [{"name": "tea", "count": 2}],
    "shipTime": "2030-01-01T00:00:00Z",
}


def result(outcome: Outcome) -> dict[str, Any]:
    assert isinstance(outcome, Succeeded), outcome
    found: dict[str, Any] = json.loads(outcome.result)
    return found


def failure(outcome: Outcome) -> Failed:
    assert isinstance(outcome, Failed), outcome
    return outcome


async def test_a_method_is_found_by_reflection_and_called(
    serve_shop: ServeShop, make: Make
) -> None:
    shop = await serve_shop()
    order = {
        "target": shop.target,
        "method": SHIP,
        "request": REQUEST,
        "metadata": {"authorization": "Bearer hush"},
    }
    assert result(await run_task(make(), order, id="a ü", attempt=3)) == REQUEST
    (call,), (metadata,) = shop.calls, shop.metadata
    assert (call.order_id, call.items[0].count, call.ship_time.seconds) == (
        "4711 ü",
        2,
        1893456000,
    )
    assert metadata["authorization"] == "Bearer hush"
    assert (metadata["later-instance"], metadata["later-attempt"]) == ("a%20%C3%BC", "3")
    assert "traceparent" not in metadata


TRACE_PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.mark.parametrize(
    ("own", "seen"), [({}, TRACE_PARENT), ({"traceparent": "my own"}, "my own")]
)
async def test_the_trace_goes_on_at_the_server_unless_the_caller_names_another(
    serve_shop: ServeShop, make: Make, own: dict[str, str], seen: str
) -> None:
    shop = await serve_shop()
    order = {"target": shop.target, "method": SHIP, "request": REQUEST, "metadata": own}
    result(await run_task(make(), order, trace_parent=TRACE_PARENT))
    (metadata,) = shop.metadata
    assert metadata["traceparent"] == seen


async def test_a_method_is_found_in_a_file(
    serve_shop: ServeShop, make: Make, descriptor_file: Path
) -> None:
    shop = await serve_shop(reflects=False)
    order = {"target": shop.target, "method": SHIP, "request": REQUEST}
    task = make(grpc_descriptors=f" {descriptor_file}, ")
    assert result(await run_task(task, order)) == REQUEST


async def test_without_either_it_fails_for_good_and_says_how_to_go_on(
    serve_shop: ServeShop, make: Make
) -> None:
    shop = await serve_shop(reflects=False)
    failed = failure(await run_task(make(), {"target": shop.target, "method": SHIP}))
    assert (failed.error.reason, failed.is_final) == ("NO_REFLECTION", True)
    assert "grpc_descriptors has no shop.v1.OrderService" in failed.error.message


async def test_another_service_than_ones_own(serve_shop: ServeShop, make: Make) -> None:
    shop = await serve_shop()
    order = {"target": shop.target, "method": "grpc.health.v1.Health/Check"}
    assert result(await run_task(make(), order)) == {"status": "SERVING"}


async def test_one_channel_serves_one_call_after_the_other(
    serve_shop: ServeShop, make: Make
) -> None:
    shop, task = await serve_shop(), make()
    for _ in range(5):
        result(await run_task(task, {"target": shop.target, "method": SHIP}))
    assert len(shop.peers) == 1


@pytest.mark.parametrize(
    ("code", "rules", "succeeds", "is_final"),
    [
        ("NOT_FOUND", {}, False, True),
        ("INVALID_ARGUMENT", {}, False, True),
        ("UNAVAILABLE", {}, False, False),
        ("INTERNAL", {}, False, False),
        ("ALREADY_EXISTS", {"success": ["OK", "ALREADY_EXISTS"]}, True, None),
        ("NOT_FOUND", {"retry": ["NOT_FOUND"]}, False, False),
        ("UNAVAILABLE", {"retry": []}, False, True),
    ],
)
async def test_the_code_decides(
    serve_shop: ServeShop,
    make: Make,
    code: str,
    rules: dict[str, object],
    succeeds: bool,
    is_final: bool | None,
) -> None:
    shop = await serve_shop()
    shop.refusal = (grpc.StatusCode[code], "no tea")
    outcome = await run_task(make(), {"target": shop.target, "method": SHIP} | rules)
    if succeeds:
        assert result(outcome) == {"code": code, "details": "no tea"}
        return
    failed = failure(outcome)
    assert (failed.error.reason, failed.is_final) == ("GRPC_STATUS", is_final)
    assert failed.error.message == f"the server answered {code}: no tea"
    assert json.loads(failed.result) == {"code": code, "details": "no tea"}


async def test_nobody_there_may_be_there_later(make: Make, descriptor_file: Path) -> None:
    order = {"target": "127.0.0.1:1", "method": SHIP, "timeout": 5}
    for settings in ({}, {"grpc_descriptors": str(descriptor_file)}):
        failed = failure(await run_task(make(**settings), order))
        assert (failed.error.reason, failed.is_final) == ("GRPC_STATUS", False)
        assert "UNAVAILABLE" in failed.error.message


async def test_tls_shows_and_asks_for_certificates(
    serve_shop: ServeShop, make: Make, tmp_path: Path
) -> None:
    authority = trustme.CA()
    server, client = authority.issue_cert("127.0.0.1"), authority.issue_cert("later.test")
    files = {
        "grpc_root_certificates": authority.cert_pem.bytes(),
        "grpc_certificate": client.cert_chain_pems[0].bytes(),
        "grpc_certificate_key": client.private_key_pem.bytes(),
    }
    settings = {}
    for name, content in files.items():
        settings[name] = str(tmp_path / name)
        (tmp_path / name).write_bytes(content)
    pair = (server.private_key_pem.bytes(), server.cert_chain_pems[0].bytes())
    credentials = grpc.ssl_server_credentials(
        [pair], authority.cert_pem.bytes(), require_client_auth=True
    )
    shop = await serve_shop(credentials=credentials)
    order = {"target": shop.target, "method": SHIP, "request": REQUEST, "timeout": 5}
    assert result(await run_task(make(**settings), order | {"tls": True})) == REQUEST
    for wrong in (
        await run_task(make(**settings), order),
        await run_task(make(), order | {"tls": True}),
    ):
        assert failure(wrong).error.reason == "GRPC_STATUS"
    assert len(shop.calls) == 1


@pytest.mark.parametrize(
    ("order", "complaint"),
    [
        ({"method": SHIP}, "target: Field required"),
        ({"target": "host", "method": SHIP}, "target: String should match"),
        ({"target": "unix:/tmp/a", "method": SHIP}, "target: String should match"),
        ({"target": "a:1", "method": "ShipOrder"}, "method: String should match"),
        ({"target": "a:1", "method": SHIP, "metadata": {"A": "b"}}, "metadata.A.[key]: "),
        ({"target": "a:1", "method": SHIP, "metadata": {"a": "b\n"}}, "metadata.a: "),
        ({"target": "a:1", "method": SHIP, "metadata": {"grpc-x": "b"}}, "metadata.grpc-x"),
        ({"target": "a:1", "method": SHIP, "retry": ["MAYBE"]}, "retry.0: "),
        ({"target": "a:1", "method": SHIP, "request": []}, "request: "),
    ],
)
async def test_wrong_parameters_are_named_by_their_paths(
    make: Make, order: dict[str, object], complaint: str
) -> None:
    failed = failure(await run_task(make(), order))
    assert (failed.error.reason, failed.is_final) == ("INVALID_PARAMETERS", True)
    assert complaint in failed.error.message


@pytest.mark.parametrize(
    ("order", "complaint"),
    [
        ({"method": "shop.v1.OrderService/SinkOrder"}, "has no method SinkOrder"),
        ({"method": "shop.v1.OrderService/WatchOrder"}, "streams"),
        ({"method": "shop.v1.NoService/Ship"}, "method: shop.v1.NoService"),
        ({"method": SHIP, "request": {"order": 1}}, 'no field named "order"'),
        ({"method": SHIP, "request": {"items": [{"count": "x"}]}}, "parse count field"),
    ],
)
async def test_what_the_service_does_not_have_is_named(
    serve_shop: ServeShop, make: Make, order: dict[str, object], complaint: str
) -> None:
    shop = await serve_shop()
    failed = failure(await run_task(make(), {"target": shop.target} | order))
    assert (failed.error.reason, failed.is_final) == ("INVALID_PARAMETERS", True)
    assert complaint in failed.error.message
    assert shop.calls == []


async def test_targets_may_be_restricted(serve_shop: ServeShop, make: Make) -> None:
    shop = await serve_shop()
    order = {"target": shop.target, "method": SHIP}
    result(await run_task(make(grpc_targets="a.test:1, 127.0.0.*:*"), order))
    failed = failure(await run_task(make(grpc_targets="a.test:1"), order))
    assert (failed.error.reason, failed.is_final) == ("TARGET_REFUSED", True)
    assert len(shop.calls) == 1


def test_a_file_that_is_none_is_named(make: Make, tmp_path: Path) -> None:
    (tmp_path / "a.binpb").write_bytes(b"\xff\xff\xff")
    with pytest.raises(ValueError, match=r"a\.binpb is no FileDescriptorSet"):
        make(grpc_descriptors=str(tmp_path / "a.binpb"))
    with pytest.raises(FileNotFoundError):
        make(grpc_descriptors=str(tmp_path / "b.binpb"))


async def test_the_command_of_the_readme_does_what_it_says(
    serve_shop: ServeShop, make: Make
) -> None:
    (command,) = re.findall(r"^    later create grpc '(.+)' --in 5s$", README, re.MULTILINE)
    shop = await serve_shop()
    order = json.loads(command) | {"target": shop.target, "tls": False}
    assert result(await run_task(make(), order)) == {"orderId": "4711"}


def test_the_readme_lists_parameters_and_settings() -> None:
    names = re.findall(r"^\| `(\w+)` \| ", README, re.MULTILINE)
    assert set(names) >= set(Grpc.parameters_schema["properties"])
