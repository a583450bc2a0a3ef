"""The two requests to the API of Kubernetes that a Job needs."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import quote
from weakref import WeakKeyDictionary

import aiohttp

from later_plugin_k8s.access import Access


@dataclass(frozen=True, slots=True)
class Answer:
    """A status of HTTP, and what came with it."""

    status: int
    content: Mapping[str, Any]

    @property
    def message(self) -> str:
        """What the API says went wrong."""
        return str(self.content.get("message") or self.status)[:1000]


class Api:
    """One session for each event loop. As a context manager it closes that of the running loop at the end."""

    def __init__(self, access: Access, *, timeout: float) -> None:
        self._access = access
        self._timeout = aiohttp.ClientTimeout(total=timeout)
        self._sessions: WeakKeyDictionary[asyncio.AbstractEventLoop, aiohttp.ClientSession]
        self._sessions = WeakKeyDictionary()

    @property
    def namespace(self) -> str:
        """Where Jobs belong that name none."""
        return self._access.namespace

    async def create_job(self, namespace: str, job: Mapping[str, Any]) -> Answer:
        """Ask for a Job.

        Raises:
            aiohttp.ClientError, OSError: no answer.
            TimeoutError: none in time.

        """
        return await self._ask("POST", namespace, "", job)

    async def get_job(self, namespace: str, name: str) -> Answer:
        """Ask what a Job is; raises as ``create_job``."""
        return await self._ask("GET", namespace, f"/{quote(name, safe='')}", None)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *failure: object) -> None:
        session = self._sessions.pop(asyncio.get_running_loop(), None)
        if session is not None:
            await session.close()

    async def _ask(
        self, method: str, namespace: str, place: str, content: Mapping[str, Any] | None
    ) -> Answer:
        loop = asyncio.get_running_loop()
        session = self._sessions.get(loop)
        if session is None:
            connector = aiohttp.TCPConnector(ssl=self._access.tls)
            session = aiohttp.ClientSession(connector=connector, timeout=self._timeout)
            self._sessions[loop] = session
        url = f"{self._access.url}/apis/batch/v1/namespaces/{quote(namespace, safe='')}/jobs{place}"
        headers = await asyncio.to_thread(self._access.headers)
        async with session.request(
            method, url, json=content, headers=headers, allow_redirects=False
        ) as answer:
            try:
                found = await answer.json(content_type=None)
            except ValueError:
                found = None
            return Answer(answer.status, found if isinstance(found, dict) else {})
