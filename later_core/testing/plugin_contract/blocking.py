"""See what code does that holds up the event loop, by what it calls and never by how long it took."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

#: Of the machine's own functions, those that wait.
_WAITING = (
    time.sleep,  # noqa: TID251 - looked for, never called
    os.system,
    os.wait,
    socket.gethostbyaddr,
    socket.gethostbyname,
    socket.gethostbyname_ex,
    socket.getnameinfo,
)
#: Of a socket with a timeout, or none, those that wait.
_ON_SOCKETS = {
    *(
        "_accept",
        "connect",
        "connect_ex",
        "recv",
        "recv_into",
        "recvfrom",
        "recvfrom_into",
        "recvmsg",
    ),
    *("recvmsg_into", "send", "sendall", "sendmsg", "sendto"),
}
#: Of the standard library's, those that wait: for a name, a process, an event, a queue, a future, a thread.
_CODES = {
    socket.getaddrinfo.__code__: "socket.getaddrinfo",
    subprocess.Popen.wait.__code__: "subprocess.Popen.wait",
    subprocess.Popen.communicate.__code__: "subprocess.Popen.communicate",
    threading.Condition.wait.__code__: "threading.Condition.wait",
    threading.Thread.join.__code__: "threading.Thread.join",
}
_SHOWN_FRAMES = 4


@contextmanager
def blocking_calls() -> Iterator[list[str]]:
    """While in the block, notes in the list what this thread calls that waits without giving way.

    Code that only computes is not seen, nor what waits inside another language's library.
    """
    seen: list[str] = []
    before = sys.getprofile()

    def look(frame: FrameType, event: str, function: Any) -> None:
        name = ""
        if event == "c_call":
            name = _name_of(function)
        elif event == "call":
            name = _CODES.get(frame.f_code, "")
            if name and (_only_looks(frame) or _starts_a_thread(frame)):
                name = ""
        if name:
            seen.append(f"{name} ({_where(frame)})")

    sys.setprofile(look)
    try:
        yield seen
    finally:
        sys.setprofile(before)


def _name_of(function: Any) -> str:
    if any(function is waiting for waiting in _WAITING):
        return f"{function.__module__}.{function.__name__}"
    owner = getattr(function, "__self__", None)
    if isinstance(owner, socket.socket) and function.__name__ in _ON_SOCKETS:
        return "" if owner.gettimeout() == 0 else f"socket.{function.__name__.lstrip('_')}"
    return ""


def _only_looks(frame: FrameType) -> bool:
    """Whether it waits for no time at all."""
    timeout = frame.f_locals.get("timeout")
    return timeout is not None and timeout <= 0


def _starts_a_thread(frame: FrameType) -> bool:
    """Whether it is the wait of ``Thread.start`` until the thread is there, which is short."""
    event = frame.f_back
    start = event.f_back if event is not None else None
    return start is not None and start.f_code is threading.Thread.start.__code__


def _where(frame: FrameType | None) -> str:
    """The innermost frames, outermost last."""
    places: list[str] = []
    while frame is not None and len(places) < _SHOWN_FRAMES:
        places.append(f"{frame.f_code.co_filename}:{frame.f_lineno}")
        frame = frame.f_back
    return ", called at ".join(places)
