"""What holds up the event loop is seen by its name, and what only looks is not."""

# ruff: noqa: TID251 -- what must not be called is called

import asyncio
import contextlib
import os
import queue
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from later_core import Context, Task, parse_parameters
from later_core.testing.plugin_contract.blocking import blocking_calls
from tests.testing.plugin_contract.sound import Order, Plugin, contract, of_greet


def blocking(call: Callable[[], object]) -> Plugin:
    async def run(self: Task, context: Context) -> None:
        parse_parameters(Order, context.parameters)
        call()

    return of_greet(run=run)


def connect(method: str) -> Callable[[], object]:
    def called() -> None:
        with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as client:
            getattr(client, method)(server.getsockname())

    return called


def send_to() -> None:
    with (
        socket.socket(type=socket.SOCK_DGRAM) as sender,
        socket.socket(type=socket.SOCK_DGRAM) as bound,
    ):
        bound.bind(("127.0.0.1", 0))
        sender.sendto(b"a", bound.getsockname())


def whose_address() -> None:
    with contextlib.suppress(OSError):  # whether it has a name is the machine's affair
        socket.gethostbyaddr("127.0.0.1")


def accept() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as client:
        client.setblocking(False)
        client.connect_ex(server.getsockname())
        server.accept()[0].close()


def fetch() -> None:
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen("http://127.0.0.1:1/", timeout=5)


def wait_in_queue() -> None:
    with pytest.raises(queue.Empty):
        queue.Queue[int]().get(timeout=0.001)


def wait_for_future() -> None:
    with ThreadPoolExecutor() as threads:
        threads.submit(threading.Event().wait, 0.05).result()


def join() -> None:
    thread = threading.Thread(target=threading.Event().wait, args=(0.01,))
    thread.start()
    thread.join()


def communicate() -> None:
    process = subprocess.Popen(["true"], stdout=subprocess.PIPE)
    process.communicate()


def on_a_pair(call: Callable[[socket.socket, socket.socket], object]) -> Callable[[], object]:
    def called() -> None:
        one, other = socket.socketpair()
        with one, other:
            other.setblocking(False)
            other.send(b"there it is")
            call(one, other)

    return called


def into(socket: socket.socket, method: str) -> None:
    getattr(socket, method)(bytearray(4))


WAITING: list[tuple[Callable[[], object], str]] = [
    (lambda: time.sleep(0.001), r"time.sleep \("),
    (lambda: os.system("true"), "system"),
    (lambda: socket.getaddrinfo("127.0.0.1", 1), "getaddrinfo"),
    (lambda: socket.gethostbyname("127.0.0.1"), r"gethostbyname \("),
    (lambda: socket.gethostbyname_ex("127.0.0.1"), "gethostbyname_ex"),
    (lambda: socket.getnameinfo(("127.0.0.1", 1), socket.NI_NUMERICHOST), "getnameinfo"),
    (lambda: subprocess.run(["true"], check=True), "subprocess.Popen"),
    (lambda: subprocess.Popen(["true"]).wait(), "subprocess.Popen.wait"),
    (communicate, "subprocess.Popen.communicate"),
    (join, "threading.Thread.join"),
    (wait_in_queue, "threading.Condition.wait"),
    (wait_for_future, "threading.Condition.wait"),
    (connect("connect"), r"socket.connect \("),
    (connect("connect_ex"), "socket.connect_ex"),
    (send_to, "socket.sendto"),
    (whose_address, "gethostbyaddr"),
    (on_a_pair(lambda one, _: one.send(b"a")), r"socket.send \("),
    (accept, r"socket.accept \("),
    (fetch, "socket.getaddrinfo"),
    (on_a_pair(lambda one, _: one.recv(4)), r"socket.recv \("),
    (on_a_pair(lambda one, _: one.recvfrom(4)), r"socket.recvfrom \("),
    (on_a_pair(lambda one, _: one.recvmsg(4)), r"socket.recvmsg \("),
    (on_a_pair(lambda one, _: one.recvmsg_into([bytearray(4)])), "socket.recvmsg_into"),
    (on_a_pair(lambda one, _: into(one, "recv_into")), "socket.recv_into"),
    (on_a_pair(lambda one, _: into(one, "recvfrom_into")), "socket.recvfrom_into"),
    (on_a_pair(lambda one, _: one.makefile("rb").read(4)), "socket.recv_into"),
    (on_a_pair(lambda one, _: one.sendall(b"a")), r"socket.sendall \("),
    (on_a_pair(lambda one, _: one.sendmsg([b"a"])), "socket.sendmsg"),
]


@pytest.mark.parametrize(("call", "name"), WAITING)
async def test_what_waits_is_seen_by_its_name(call: Callable[[], object], name: str) -> None:
    with pytest.raises(AssertionError, match=rf"waits without giving way, in \S*{name}"):
        await contract(blocking(call)).test_no_run_holds_up_the_event_loop()


def test_a_wait_for_any_child_is_seen() -> None:
    """In a process that has none: here it would collect those of other tests."""
    lines = (
        "import os, contextlib",
        "from later_core.testing.plugin_contract.blocking import blocking_calls",
        "with blocking_calls() as seen, contextlib.suppress(ChildProcessError): os.wait()",
        "assert 'wait (' in seen[0]",
    )
    subprocess.run([sys.executable, "-c", "\n".join(lines)], check=True, timeout=100)


def test_what_only_looks_is_not_seen() -> None:
    process = subprocess.Popen(["true"])
    done = Future[int]()
    done.set_result(1)
    one, other = socket.socketpair()
    with one, other, blocking_calls() as seen:
        one.setblocking(False)
        with pytest.raises(BlockingIOError):
            one.recv(1)
        with pytest.raises(queue.Empty):
            queue.Queue[int]().get(block=False)
        threading.Event().wait(0)
        done.result()
        process.poll()
    process.wait()
    assert seen == []


async def test_waiting_in_a_thread_or_by_the_loop_holds_nothing_up() -> None:
    async def run(self: Task, context: Context) -> None:
        await asyncio.to_thread(time.sleep, 0.001)
        process = await asyncio.create_subprocess_exec("true")
        await process.wait()
        server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
        async with server:
            _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            writer.close()
            await writer.wait_closed()

    check = contract(of_greet(run=run))
    await check.test_no_run_holds_up_the_event_loop()
