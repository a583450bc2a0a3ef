"""What large messages hold is bounded: a request counts until its call is over, an answer likewise.

How large a message is, is known where its bytes are decoded or encoded, and costs nothing there. Small ones
are not counted: as many calls as may be under way are few bytes of them.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from functools import partial
from typing import Any

from google.protobuf.message import Message

from later_core.errors import ClientStalled, ServerOverloaded
from later_core.model.limits import MESSAGES_HELD_BYTES, STALLED_SECONDS

#: From here on a message is large.
LARGE_BYTES = 64 * 1024

#: What a client is asked to wait before it tries again, in seconds.
_RETRY = 0.25
#: After this long, in seconds, the message of a stream that went on has been counted.
_STEP = 0.005

_Context = Any  # grpc.aio.ServicerContext


@dataclass(frozen=True, slots=True)
class Large:
    """A request, and how many bytes it came in."""

    message: Message
    size: int


class HeldMessages:
    """Counts the bytes of large messages that are held for all calls together."""

    def __init__(self, most_bytes: int = MESSAGES_HELD_BYTES) -> None:
        self._most = most_bytes
        self._waiting: deque[asyncio.Future[None]] = deque()
        self.size = 0

    def take(self, size: int, context: _Context) -> None:
        """Hold so much until the call is over, and what it is answered with has been taken.

        One message alone is always held, whatever its size.

        Raises:
            ServerOverloaded: nothing more is held.

        """
        if self.size and self.size + size > self._most:
            raise ServerOverloaded(_RETRY)
        self.add(size)
        context.add_done_callback(partial(self._over, size))

    async def room(self) -> None:
        """Return once there is room for a message, of whatever size."""
        while self.size >= self._most:
            waiter = asyncio.get_running_loop().create_future()
            self._waiting.append(waiter)
            await waiter

    def add(self, size: int) -> None:
        """Count so much more, which is there already."""
        self.size += size

    def give_back(self, size: int) -> None:
        """Count so much less."""
        self.size -= size
        self._wake()

    def _wake(self) -> None:
        """One at a time, and the next one soon: all at once they would read more than there is room for."""
        while self._waiting and self.size < self._most:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(None)
                waiter.get_loop().call_later(_STEP, self._wake)
                return

    def _over(self, size: int, context: _Context) -> None:
        self.give_back(size)


class Requests:
    """The large requests of one stream that have been read and not been answered yet."""

    def __init__(self, held: HeldMessages) -> None:
        self._held = held
        self._sizes: deque[int] = deque()

    async def room(self) -> None:
        """Return once the next request may be read."""
        await self._held.room()

    def read(self, request: Any) -> Any:
        """Count one that has been read, and take it out of its wrapping."""
        size = request.size if type(request) is Large else 0
        self._sizes.append(size)
        self._held.add(size)
        return request.message if size else request

    def answered(self) -> None:
        """The first of those that were not has been."""
        if self._sizes:
            self._held.give_back(self._sizes.popleft())

    def end(self) -> None:
        """None of it is held any longer."""
        while self._sizes:
            self.answered()


async def tell(context: _Context, response: Any) -> None:
    """Write a response of a stream, and return once the client has room for it.

    Raises:
        ClientStalled: it has had none for too long.

    """
    try:
        async with asyncio.timeout(STALLED_SECONDS):
            await context.write(response)
    except TimeoutError:
        raise ClientStalled(STALLED_SECONDS) from None


class Answers:
    """The context of a method that writes its answers by itself, one to a request and in their order."""

    def __init__(self, context: _Context, requests: Requests) -> None:
        self._context = context
        self._requests = requests

    async def write(self, response: Any) -> None:
        """Return once the client has room for it; then its request is held no longer."""
        await tell(self._context, response)
        self._requests.answered()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)
