"""What every group of calls rests on: one channel, one deadline, one kind of error."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Self, TypeVar

import grpc

from later_core.client.bearing import BearingChannel
from later_core.client.channel import open_channel
from later_core.client.diagnosis import diagnose
from later_core.client.errors import SERVER_UNREACHABLE, RpcError, from_call
from later_core.errors import TokenUnprotected
from later_core.model.address import is_private
from later_core.model.tls import ClientTls
from later_core.ports.clock import SystemClock
from later_core.telemetry.propagation import outgoing

if TYPE_CHECKING:
    from later_core.settings import Settings

#: Of what a server asks to wait, up to so much more by chance: those that were refused together come apart.
_SPREAD = 0.5
_CLOCK = SystemClock()

_Request = TypeVar("_Request")
_Response = TypeVar("_Response")


class Connection:
    """An async context manager: the channel to a server, open inside.

    ``address`` is ``host:port``; several IP addresses with commas between, or ``dns:name:port``, are
    servers of one database, which are called in turn. Without ``tls`` nothing is encrypted. Entering
    raises ``CertificateUnusable`` for a certificate or key that cannot be read or used. Every call
    carries the ``token``, which is not sent unencrypted to another machine (``TokenUnprotected``),
    unless ``insecure`` says that this is meant.
    """

    def __init__(
        self,
        address: str,
        *,
        tls: ClientTls | None = None,
        token: str | None = None,
        insecure: bool = False,
        deadline: timedelta = timedelta(seconds=10),
    ) -> None:
        self.address = address
        self._tls = tls
        self._token = token
        self._insecure = insecure
        self._deadline = deadline.total_seconds()
        self._channel: grpc.aio.Channel | None = None

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """As the settings say, which ``later_core.settings.load`` has read.

        Raises:
            SettingInvalid: the file of the token cannot be read, or holds none.

        """
        return cls(
            settings.address,
            tls=settings.client_tls,
            token=settings.client_token(),
            insecure=settings.insecure,
        )

    @classmethod
    def from_environment(cls) -> Self:
        """As the command ``later``: by ``LATER_ADDRESS``, ``LATER_TLS…``, ``LATER_TOKEN``, and the file.

        Raises:
            SettingInvalid.

        """
        # What the file and its checks need is not loaded for who gives an address.
        from later_core.settings import load

        return cls.from_settings(load())

    async def __aenter__(self) -> Self:
        if self._token and not (self._tls or self._insecure or is_private(self.address)):
            raise TokenUnprotected(self.address)
        channel = open_channel(self.address, self._tls)
        self._channel = BearingChannel(channel, self._token) if self._token else channel
        self._use(self._channel)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._channel is not None:
            await self._channel.close(None)

    def _use(self, channel: grpc.aio.Channel) -> None:
        """Make the stubs; each group of calls makes its own."""

    async def _call(
        self, method: Callable[..., Awaitable[_Response]], request: _Request
    ) -> _Response:
        """The answer, within the deadline in all.

        What a server refuses for having too much to do, and has not begun, is tried again when it says.
        """
        give_up = _CLOCK.monotonic() + self._deadline
        while True:
            left = give_up - _CLOCK.monotonic()
            try:
                return await method(request, timeout=left, metadata=outgoing())
            except grpc.aio.AioRpcError as error:
                failed = await self._explained(error)
            wait = _wait_before_another(failed)
            if wait is None or _CLOCK.monotonic() + wait >= give_up:
                raise failed
            await _CLOCK.sleep(wait)

    async def _explained(self, error: grpc.aio.AioRpcError) -> RpcError:
        """What a failed call describes; where no connection came about, with the cause."""
        described = from_call(error, address=self.address)
        if described.reason != SERVER_UNREACHABLE:
            return described
        return await diagnose(self.address, self._tls) or described


def _wait_before_another(failed: RpcError) -> float | None:
    """How long to wait before the same call is made again, in seconds; None: it is not."""
    if failed.code != "RESOURCE_EXHAUSTED" or failed.retry_after is None:
        return None
    return failed.retry_after * random.uniform(1.0, 1.0 + _SPREAD)  # noqa: S311 - no secret
