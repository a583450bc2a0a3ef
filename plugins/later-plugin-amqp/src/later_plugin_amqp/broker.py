"""One connection to the broker for each event loop, made when it is needed and made anew when it broke."""

import asyncio
from typing import Self
from weakref import WeakKeyDictionary

import aio_pika
from aio_pika.abc import AbstractConnection


class _Line:
    """The connection of one event loop."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.connection: AbstractConnection | None = None


class Broker:
    """Publishes with confirms. As a context manager it closes the running loop's connection at the end."""

    def __init__(self, url: str, *, timeout: float) -> None:
        self.is_configured = bool(url)
        self._url = url
        self._timeout = timeout
        self._lines: WeakKeyDictionary[asyncio.AbstractEventLoop, _Line] = WeakKeyDictionary()

    async def publish(
        self, message: aio_pika.Message, *, exchange: str, routing_key: str, mandatory: bool
    ) -> None:
        """Return once the broker has confirmed the message.

        Each message has a channel of its own: one that names no exchange closes its channel, and with it
        the confirms of all others on it.

        Raises:
            aio_pika.exceptions.AMQPError, OSError: the broker did not take it.
            TimeoutError: it did not confirm in time; it may have taken it.

        """
        async with asyncio.timeout(self._timeout):
            connection = await self._connection()
            async with connection.channel(
                publisher_confirms=True, on_return_raises=True
            ) as channel:
                target = (
                    await channel.get_exchange(exchange, ensure=False)
                    if exchange
                    else channel.default_exchange
                )
                await target.publish(message, routing_key, mandatory=mandatory)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *failure: object) -> None:
        line = self._lines.pop(asyncio.get_running_loop(), None)
        if line is not None and line.connection is not None:
            await line.connection.close()

    async def _connection(self) -> AbstractConnection:
        line = self._lines.setdefault(asyncio.get_running_loop(), _Line())
        async with line.lock:
            if line.connection is None or line.connection.is_closed:
                line.connection = await aio_pika.connect(self._url, timeout=self._timeout)
            return line.connection
