"""No request reaches the inside: not by a literal, a name, a name that changes, nor a redirect."""

import socket
from collections.abc import Awaitable, Callable
from ipaddress import ip_address
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from later_plugin_http.addresses import Guard
from later_plugin_http.task import Http

from later_core.model.outcome import Failed, Succeeded
from later_core.testing.tasks import run_task

Receive = Callable[..., Awaitable[Any]]
Make = Callable[..., Http]

INSIDE = [
    *("127.0.0.1", "127.9.9.9", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1"),
    *("169.254.169.254", "100.100.100.200", "168.63.129.16", "192.0.0.192", "224.0.0.1"),
    *("255.255.255.255", "240.0.0.1", "198.18.0.1", "::", "::1", "fe80::1", "fd00:ec2::254"),
    *("ff02::1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "64:ff9b::10.0.0.1"),
    *("64:ff9b::a9fe:a9fe", "2002:7f00:1::", "2002:a9fe:a9fe::1"),
]
OUTSIDE = ["8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8"]


@pytest.mark.parametrize("address", INSIDE)
def test_the_inside_is_refused(address: str) -> None:
    assert not Guard("").allows(ip_address(address))
    assert Guard("*").allows(ip_address(address))


@pytest.mark.parametrize("address", OUTSIDE)
def test_the_public_is_allowed(address: str) -> None:
    assert Guard("").allows(ip_address(address))


@given(st.ip_addresses(v=4))
def test_a_disguise_is_judged_by_what_it_carries(address: Any) -> None:
    guard = Guard("")
    for disguise in (f"::ffff:{address}", f"64:ff9b::{address}"):
        assert guard.allows(ip_address(disguise)) == guard.allows(address)


def test_a_setting_allows_networks() -> None:
    guard = Guard("10.0.0.0/8, ::1,192.168.1.7")
    allowed = ["10.255.0.1", "::1", "192.168.1.7", "::ffff:10.0.0.1"]
    assert all(guard.allows(ip_address(address)) for address in allowed)
    refused = ["192.168.1.8", "127.0.0.1", "169.254.0.1"]
    assert not any(guard.allows(ip_address(address)) for address in refused)
    with pytest.raises(ValueError, match=r"10\.0\.0\.1/8"):
        Guard("10.0.0.1/8")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "127.1", "2130706433", "0"])
async def test_nothing_is_sent_to_loopback_however_it_is_spelt(
    receive: Receive, make: Make, host: str
) -> None:
    receiver = await receive()
    url = receiver.url.replace("127.0.0.1", host)
    outcome = await run_task(make(http_allowed_networks=""), {"url": url})
    assert isinstance(outcome, Failed)
    assert (outcome.error.reason, outcome.is_final) == ("ADDRESS_REFUSED", True)
    assert "is not public" in outcome.error.message
    assert receiver.requests == []


async def test_a_redirect_inside_is_refused(receive: Receive, make: Make) -> None:
    inside = await receive(host="127.0.0.2")

    async def answer(request: web.Request) -> web.Response:
        return web.Response(status=307, headers={"Location": inside.url})

    receiver = await receive(answer)
    task = make(http_allowed_networks="127.0.0.1")
    outcome = await run_task(task, {"url": receiver.url, "max_redirects": 5})
    assert isinstance(outcome, Failed)
    assert outcome.error.reason == "ADDRESS_REFUSED"
    assert "127.0.0.2" in outcome.error.message
    assert len(receiver.requests) == 1
    assert inside.requests == []


async def test_a_name_that_moves_inside_is_refused(
    receive: Receive, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DNS rebinding. The one thing that is not real here is the name server."""
    answers = ["127.0.0.1", "127.0.0.2", "127.0.0.2"]

    def getaddrinfo(host: str, port: int, *args: Any, **more: Any) -> list[Any]:
        place = (answers.pop(0), port)
        return [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", place)]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    outside, inside = await receive(), await receive(host="127.0.0.2")
    task = make(http_allowed_networks="127.0.0.1")
    task._connections.session().connector._use_dns_cache = False  # type: ignore[union-attr] # a name's time to live is over
    port = outside.url.rpartition(":")[2].removesuffix("/hooks")
    outcome = await run_task(task, {"url": f"http://moving.test:{port}/hooks"})
    assert isinstance(outcome, Succeeded)
    port = inside.url.rpartition(":")[2].removesuffix("/hooks")
    outcome = await run_task(task, {"url": f"http://moving.test:{port}/hooks"})
    assert isinstance(outcome, Failed)
    assert outcome.error.reason == "ADDRESS_REFUSED"
    assert inside.requests == []


async def test_a_name_all_of_whose_addresses_are_inside_is_refused(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    def getaddrinfo(host: str, port: int, *args: Any, **more: Any) -> list[Any]:
        places = [(address, port) for address in ("127.0.0.2", "127.0.0.3")]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", place) for place in places]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    outcome = await run_task(make(http_allowed_networks=""), {"url": "http://two.test/"})
    assert isinstance(outcome, Failed)
    assert (outcome.error.reason, outcome.is_final) == ("ADDRESS_REFUSED", True)
    assert "is not public" in outcome.error.message
