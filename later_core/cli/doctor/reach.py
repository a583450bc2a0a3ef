"""Why a server does not answer: what there is at its address, if anything."""

from __future__ import annotations

import asyncio
import os
import ssl

from later_core.model.finding import Finding, fail

_SECONDS = 3.0


async def unreached(address: str) -> Finding:
    """The finding for an address at which no server of Later answered."""
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    try:
        async with asyncio.timeout(_SECONDS):
            await _open(host, int(port), None)
    except (OSError, TimeoutError) as error:
        why = "nobody answers in time" if isinstance(error, TimeoutError) else _words(error)
        return fail(
            "server",
            f"cannot connect to {address}: {why}",
            "start later serve there, or correct LATER_ADDRESS or --address",
        )
    if await _speaks_tls(host, int(port)):
        return fail(
            "server",
            f"what listens at {address} speaks TLS, and no server of Later was reached behind it",
            "give --tls, or --tls-ca for roots of your own (LATER_TLS…)",
        )
    return fail(
        "server",
        f"something listens at {address}, and no server of Later answers",
        "correct LATER_ADDRESS or --address; a proxy before the server must speak HTTP/2",
    )


async def _speaks_tls(host: str, port: int) -> bool:
    # Who it is does not matter here: nothing is sent but the handshake.
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        async with asyncio.timeout(_SECONDS):
            await _open(host, port, context)
    except ssl.SSLError as error:
        # An alert is TLS too: it wants another version, or a certificate.
        return "ALERT" in (error.reason or "")
    except (OSError, TimeoutError):
        return False
    return True


async def _open(host: str, port: int, context: ssl.SSLContext | None) -> None:
    _, writer = await asyncio.open_connection(host, port, ssl=context)
    writer.close()


def _words(error: OSError) -> str:
    # asyncio puts the address in place of the system's words.
    if isinstance(error, ConnectionError) and error.errno:
        return os.strerror(error.errno).lower()
    return (error.strerror or str(error)).lower()
