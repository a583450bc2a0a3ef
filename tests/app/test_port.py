"""A port is held for several processes only if no stranger has it."""

from __future__ import annotations

import socket

import pytest

from later_core.app.port import held
from later_core.errors import ListenFailed


def bound(port: int, *options: int) -> socket.socket:
    found = socket.socket()
    try:
        for option in options:
            found.setsockopt(socket.SOL_SOCKET, option, 1)
        found.bind(("127.0.0.1", port))
    except OSError:
        found.close()
        raise
    return found


def test_port_0_becomes_one_that_is_free_and_stays_held():
    with held("127.0.0.1:0") as address:
        host, _, port = address.rpartition(":")
        assert (host, int(port) > 0) == ("127.0.0.1", True)
        with pytest.raises(OSError, match="in use"):
            bound(int(port), socket.SO_REUSEADDR)
    bound(int(port)).close()


def test_processes_that_share_can_listen_and_get_every_connection():
    with held("127.0.0.1:0") as address:
        port = int(address.rpartition(":")[2])
        with bound(port, socket.SO_REUSEPORT) as one, bound(port, socket.SO_REUSEPORT) as two:
            for listening in (one, two):
                listening.listen()
                listening.setblocking(False)
            clients = [socket.create_connection(("127.0.0.1", port), timeout=5) for _ in range(40)]
            accepted = []
            for listening in (one, two):
                while True:
                    try:
                        accepted.append(listening.accept()[0])
                    except BlockingIOError:
                        break
            for each in (*clients, *accepted):
                each.close()
            assert len(accepted) == 40


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("listening", [False, True])
def test_a_port_that_somebody_has_is_refused(shared: bool, listening: bool):
    options = [socket.SO_REUSEPORT] if shared else []
    with bound(0, *options) as stranger:
        if listening:
            stranger.listen()
        port = stranger.getsockname()[1]
        with pytest.raises(ListenFailed), held(f"127.0.0.1:{port}"):
            pass


def test_a_port_that_is_held_already_is_refused():
    with held("127.0.0.1:0") as address, pytest.raises(ListenFailed), held(address):
        pass


@pytest.mark.parametrize("listen", ["192.0.2.1:0", "nowhere.invalid:1"])
def test_a_host_that_is_none_of_this_machine_is_refused(listen: str):
    with pytest.raises(ListenFailed), held(listen):
        pass


def test_ipv6_is_held_too():
    if not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    try:
        with held("[::1]:0") as address:
            assert address.startswith("[::1]:")
    except ListenFailed:
        pytest.skip("no IPv6 here")
