"""A channel whose certificates may be renewed while it is used."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import grpc

from later_core.errors import CertificateUnusable
from later_core.rpc.pem import Renewals

_Any = Any  # what a call takes and gives differs from method to method


class RenewingChannel(grpc.aio.Channel):
    """Makes each call on a channel with the files as they are now.

    gRPC reads certificates once for a channel, so after a renewal a new one is opened. Streams that
    are under way end on the old one, which is closed with this. Files that cannot be used (half of
    a renewal, say) change nothing.
    """

    def __init__(self, open_channel: Callable[[], grpc.aio.Channel], renewals: Renewals) -> None:
        self._open = open_channel
        self._renewals = renewals
        self._current = open_channel()
        self._old: list[grpc.aio.Channel] = []

    def _fresh(self) -> grpc.aio.Channel:
        if self._renewals.were_there():
            try:
                renewed = self._open()
            except CertificateUnusable:
                return self._current
            self._old.append(self._current)
            self._current = renewed
        return self._current

    def _each_time(self, make: Callable[[grpc.aio.Channel], _Any]) -> _Any:
        made_of = self._current
        made = make(made_of)

        def call(*arguments: _Any, **named: _Any) -> _Any:
            nonlocal made_of, made
            channel = self._fresh()
            if channel is not made_of:
                made_of, made = channel, make(channel)
            return made(*arguments, **named)

        return call

    def unary_unary(self, *arguments: _Any, **named: _Any) -> _Any:
        return self._each_time(lambda channel: channel.unary_unary(*arguments, **named))

    def unary_stream(self, *arguments: _Any, **named: _Any) -> _Any:
        return self._each_time(lambda channel: channel.unary_stream(*arguments, **named))

    def stream_unary(self, *arguments: _Any, **named: _Any) -> _Any:
        return self._each_time(lambda channel: channel.stream_unary(*arguments, **named))

    def stream_stream(self, *arguments: _Any, **named: _Any) -> _Any:
        return self._each_time(lambda channel: channel.stream_stream(*arguments, **named))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self, grace: float | None = None) -> None:
        for channel in (*self._old, self._current):
            await channel.close(grace)

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:
        return self._current.get_state(try_to_connect)

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        await self._current.wait_for_state_change(last_observed_state)

    async def channel_ready(self) -> None:
        await self._fresh().channel_ready()
