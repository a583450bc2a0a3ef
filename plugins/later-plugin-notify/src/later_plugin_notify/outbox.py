"""What waits to be sent, and the loop that sends it: apart from the events, which wait for nothing."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import Protocol, Self

from later_plugin_notify.rules import Notice

_log = logging.getLogger(__name__)

#: So many notices go in one mail or request: a flood of failures is no flood of mails.
MOST_AT_ONCE = 100
#: Waits between the tries to send, in seconds.
WAITS = (1.0, 5.0, 30.0)
#: How long the last ones may take when the server ends, in seconds.
LAST_CALL = 5.0


class Channel(Protocol):
    """A way to tell people."""

    name: str

    async def send(self, notices: Sequence[Notice], dropped: int) -> None:
        """Tell of all of them at once, and how many before them were dropped; raises what went wrong."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...


class Outbox:
    """A bounded queue. What does not fit is dropped; how much is logged, and told with the next notices."""

    def __init__(
        self, channels: Sequence[Channel], *, limit: int, waits: Sequence[float] = WAITS
    ) -> None:
        self._channels = channels
        self._limit = limit
        self._waits = waits
        self._waiting: deque[Notice] = deque()
        self._is_wanted = asyncio.Event()
        self._is_ending = asyncio.Event()
        self._group = asyncio.TaskGroup()
        self._loop: asyncio.Task[None] | None = None
        #: Since the last notices were sent.
        self._dropped = 0

    def add(self, notice: Notice) -> None:
        """Never waits."""
        if len(self._waiting) >= self._limit:
            self._dropped += 1
            return
        self._waiting.append(notice)
        self._is_wanted.set()

    async def __aenter__(self) -> Self:
        await self._group.__aenter__()
        self._loop = self._group.create_task(self._send_all())
        return self

    async def __aexit__(self, *failure: object) -> None:
        """What still waits is tried once more."""
        self._is_ending.set()
        self._is_wanted.set()
        assert self._loop is not None
        done, _ = await asyncio.wait({self._loop}, timeout=LAST_CALL)
        if not done:
            _log.error("notices lost at the end: %d", len(self._waiting))
            self._loop.cancel()
        await self._group.__aexit__(None, None, None)
        for channel in self._channels:
            await channel.close()

    async def _send_all(self) -> None:
        while True:
            await self._is_wanted.wait()
            self._is_wanted.clear()
            while self._waiting:
                count = min(len(self._waiting), MOST_AT_ONCE)
                notices = [self._waiting.popleft() for _ in range(count)]
                dropped, self._dropped = self._dropped, 0
                if dropped:
                    _log.warning("notices dropped, the queue was full: %d", dropped)
                for channel in self._channels:
                    await self._send(channel, notices, dropped)
            if self._is_ending.is_set():
                return

    async def _send(self, channel: Channel, notices: Sequence[Notice], dropped: int) -> None:
        for wait in (*self._waits, None):
            try:
                await channel.send(notices, dropped)
            except Exception as error:  # noqa: BLE001 - one channel that fails holds up no other
                if wait is None or self._is_ending.is_set():
                    _log.error(
                        "notices lost, %s failed: %d (%s: %s)",
                        *(channel.name, len(notices), type(error).__name__, error),
                    )
                    return
                _log.warning("%s failed, tried again in %g s: %s", channel.name, wait, error)
                with suppress(TimeoutError):
                    async with asyncio.timeout(wait):
                        await self._is_ending.wait()
            else:
                return
