"""One channel for each target, kept while the server runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self

import grpc
from google.protobuf.descriptor_pool import DescriptorPool

#: So many targets have a channel that is kept; to more of them each call has one of its own.
MOST_KEPT = 256


class Target:
    """A channel, and what its server was found to serve."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.channel = channel
        #: What reflection told, by service.
        self.reflected: dict[str, DescriptorPool] = {}


class Channels:
    """Targets by event loop, address and whether they speak TLS."""

    def __init__(self, credentials: grpc.ChannelCredentials) -> None:
        self._credentials = credentials
        self._kept: dict[tuple[asyncio.AbstractEventLoop, str, bool], Target] = {}

    @asynccontextmanager
    async def to(self, address: str, *, tls: bool) -> AsyncIterator[Target]:
        """The target, for one call."""
        key = (asyncio.get_running_loop(), address, tls)
        target = self._kept.get(key)
        if target is None:
            target = Target(self._open(address, tls=tls))
            if len(self._kept) >= MOST_KEPT:
                async with target.channel:
                    yield target
                return
            self._kept[key] = target
        yield target

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *failure: object) -> None:
        loop = asyncio.get_running_loop()
        for key in [key for key in self._kept if key[0] is loop]:
            await self._kept.pop(key).channel.close(None)

    def _open(self, address: str, *, tls: bool) -> grpc.aio.Channel:
        if tls:
            return grpc.aio.secure_channel(address, self._credentials)
        return grpc.aio.insecure_channel(address)


def credentials_of(settings: Mapping[str, Any]) -> grpc.ChannelCredentials:
    """For TLS, from the files that the settings name.

    Raises:
        OSError: one of them cannot be read.

    """
    names = ("grpc_root_certificates", "grpc_certificate_key", "grpc_certificate")
    files = [Path(settings[name]).read_bytes() if settings[name] else None for name in names]
    return grpc.ssl_channel_credentials(*files)
