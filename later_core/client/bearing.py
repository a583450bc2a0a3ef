"""A channel whose calls carry a token, whoever makes them."""

from __future__ import annotations

from typing import Any, Self

import grpc

_Any = Any  # what a call takes and gives differs from method to method


class BearingChannel(grpc.aio.Channel):
    """Another channel, with ``authorization: Bearer …`` on each call.

    gRPC's own credentials of a call refuse to go over a connection that is not encrypted, also where it
    does not leave the machine; whether it may is judged before this is made.
    """

    def __init__(self, channel: grpc.aio.Channel, token: str) -> None:
        self._channel = channel
        self._metadata = (("authorization", f"Bearer {token}"),)

    def _bearing(self, made: _Any) -> _Any:
        def call(*arguments: _Any, metadata: _Any = (), **named: _Any) -> _Any:
            return made(*arguments, metadata=(*(metadata or ()), *self._metadata), **named)

        return call

    def unary_unary(self, *arguments: _Any, **named: _Any) -> _Any:
        return self._bearing(self._channel.unary_unary(*arguments, **named))

    def unary_stream(self, *arguments: _Any, **named: _Any) -> _Any:
        return self._bearing(self._channel.unary_stream(*arguments, **named))

    def stream_unary(self, *arguments: _Any, **named: _Any) -> _Any:
        return self._bearing(self._channel.stream_unary(*arguments, **named))

    def stream_stream(self, *arguments: _Any, **named: _Any) -> _Any:
        return self._bearing(self._channel.stream_stream(*arguments, **named))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self, grace: float | None = None) -> None:
        await self._channel.close(grace)

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:
        return self._channel.get_state(try_to_connect)

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        await self._channel.wait_for_state_change(last_observed_state)

    async def channel_ready(self) -> None:
        await self._channel.channel_ready()
