"""One pool of connections for each event loop, closed when the server ends."""

import asyncio
from typing import Self
from weakref import WeakKeyDictionary

import aiohttp

from later_plugin_http.addresses import Guard


class Connections:
    """The client's sessions. As a context manager it closes that of the running loop at the end."""

    def __init__(
        self,
        *,
        guard: Guard,
        proxy: str | None,
        limit: int,
        timeout: float,
        connect_timeout: float,
    ) -> None:
        self.proxy = proxy
        self._guard = guard
        self._limit = limit
        self._timeout = timeout
        self._connect_timeout = connect_timeout
        self._sessions: WeakKeyDictionary[asyncio.AbstractEventLoop, aiohttp.ClientSession]
        self._sessions = WeakKeyDictionary()

    def session(self) -> aiohttp.ClientSession:
        """That of the running event loop, made when it is first asked for."""
        loop = asyncio.get_running_loop()
        session = self._sessions.get(loop)
        if session is None or session.closed:
            session = self._sessions[loop] = self._open()
        return session

    def timeout(self, seconds: float | None) -> aiohttp.ClientTimeout:
        """For one request: so many seconds in all, or what the settings say."""
        return aiohttp.ClientTimeout(
            total=seconds or self._timeout, sock_connect=self._connect_timeout
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *failure: object) -> None:
        session = self._sessions.pop(asyncio.get_running_loop(), None)
        if session is not None:
            await session.close()

    def _open(self) -> aiohttp.ClientSession:
        # The proxy is where the operator says it is; nothing else is connected to.
        factory = None if self.proxy else self._guard.open_socket
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self._limit, socket_factory=factory),
            cookie_jar=aiohttp.DummyCookieJar(),  # what one receiver sets is no other instance's
            auto_decompress=False,
            headers={"User-Agent": "later-plugin-http/0.1", "Accept-Encoding": "identity"},
            trust_env=False,
        )
