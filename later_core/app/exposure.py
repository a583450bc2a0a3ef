"""Whether a server may listen where it is told to: never open to other machines by accident."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from later_core.errors import ListenUnprotected
from later_core.model.address import is_private

if TYPE_CHECKING:
    from later_core.settings import Settings

_log = structlog.get_logger(__name__)


def missing(listen: str, *, encrypts: bool, authenticates: bool) -> str:
    """What an address lacks before others may reach it, as half a sentence; empty: nothing.

    What only this machine reaches lacks nothing. Encryption alone is not enough: whoever gets in
    creates instances, and with the task ``bash`` runs commands.
    """
    if is_private(listen) or (encrypts and authenticates):
        return ""
    if encrypts:
        return "nobody is asked who he is"
    if authenticates:
        return "nothing is encrypted"
    return "nothing is encrypted and nobody is asked who he is"


def check_exposure(settings: Settings) -> None:
    """Let pass what is protected, or meant to be open, and that with a warning.

    Raises:
        ListenUnprotected.

    """
    tls = settings.server_tls
    lacking = missing(
        settings.listen,
        encrypts=tls is not None,
        # A client's certificate says who it is, where nobody is asked for more.
        authenticates=bool(settings.auth) or (tls is not None and tls.client_ca is not None),
    )
    if not lacking:
        return
    if not settings.insecure:
        raise ListenUnprotected(settings.listen, lacking)
    _log.warning(
        "anyone who reaches this address may use it", listen=settings.listen, detail=lacking
    )
