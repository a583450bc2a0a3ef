"""Why no connection came about: gRPC says "Socket closed" where people need to know what to mend."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress

from later_core.client.channel import roots_of
from later_core.client.errors import TlsFailed
from later_core.errors import CertificateUnusable
from later_core.model.address import servers
from later_core.model.tls import ClientTls

#: Longer than a server needs that is there at all.
_PATIENCE_SECONDS = 3.0

#: OpenSSL's X509_V_ERR_…: not valid yet, no longer valid; another host, another address.
_OUT_OF_TIME = (9, 10)
_OTHER_NAME = (62, 64)


async def diagnose(address: str, tls: ClientTls | None) -> TlsFailed | None:
    """Knock at the address once more, and tell what is wrong with TLS; None: nothing is.

    Of several servers the first one with a fault is told of.
    """
    for server in servers(address):
        if (found := await _diagnose_one(server, tls)) is not None:
            return found
    return None


async def _diagnose_one(address: str, tls: ClientTls | None) -> TlsFailed | None:
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            if tls is None:
                return await _plainly(address, host, int(port))
            return await _encrypted(address, host, int(port), tls)
    except (OSError, ValueError, CertificateUnusable):
        return None  # nobody is there, or it is no host and port: TLS is not what is wrong


async def _plainly(address: str, host: str, port: int) -> TlsFailed | None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        await _knock(context, host, port, host)
    except ssl.SSLError:
        return None
    return TlsFailed(
        "TLS_REQUIRED",
        address,
        "speaks TLS, and this client does not: add --tls (LATER_TLS=true), or name the root of its"
        " certificate with --tls-ca (LATER_TLS_CA)",
    )


async def _encrypted(address: str, host: str, port: int, tls: ClientTls) -> TlsFailed | None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    roots = roots_of(tls)
    if roots is None:
        context.load_default_certs()
    else:
        context.load_verify_locations(cadata=roots.decode())
    name = tls.server_name or host
    try:
        is_answered = await _knock(context, host, port, name)
    except ssl.SSLCertVerificationError as error:
        return _distrusted(address, name, error.verify_code)
    except ssl.SSLError:
        return TlsFailed(
            "TLS_NOT_SPOKEN",
            address,
            "speaks no TLS: leave out --tls and what goes with it (LATER_TLS…), or give the server"
            " a certificate with LATER_TLS_CERT",
        )
    return None if is_answered else _shut_out(address, tls)


def _distrusted(address: str, name: str, code: int) -> TlsFailed:
    if code in _OUT_OF_TIME:
        return TlsFailed(
            "CERTIFICATE_OUT_OF_DATE",
            address,
            "shows a certificate that has expired, or is not valid yet: renew it (a running server"
            " takes the renewed file by itself), or set the clock right",
        )
    if code in _OTHER_NAME:
        return TlsFailed(
            "SERVER_NAME_MISMATCH",
            address,
            f"shows a certificate that is not for {name!r}: use an address that it names, or say"
            " its name with --tls-server-name (LATER_TLS_SERVER_NAME)",
        )
    return TlsFailed(
        "CERTIFICATE_UNTRUSTED",
        address,
        "shows a certificate whose root is not trusted here: name that root with --tls-ca"
        " (LATER_TLS_CA)",
    )


def _shut_out(address: str, tls: ClientTls) -> TlsFailed:
    if tls.cert is None:
        return TlsFailed(
            "CLIENT_CERTIFICATE_REQUIRED",
            address,
            "lets in nobody without a client certificate: give one with --tls-client-cert and"
            " --tls-client-key (LATER_TLS_CLIENT_CERT, LATER_TLS_CLIENT_KEY)",
        )
    return TlsFailed(
        "CLIENT_CERTIFICATE_REFUSED",
        address,
        "does not accept the client certificate: take one that has not expired and comes from its"
        " LATER_TLS_CLIENT_CA",
    )


async def _knock(context: ssl.SSLContext, host: str, port: int, name: str) -> bool:
    """Shake hands without a certificate; whether the server then begins to talk, as HTTP/2 does.

    With TLS 1.3 a server refuses a client only after the client's side of the handshake is done.
    """
    context.set_alpn_protocols(["h2"])
    reader, writer = await asyncio.open_connection(host, port, ssl=context, server_hostname=name)
    try:
        return bool(await reader.read(1))
    except (ssl.SSLError, ConnectionError):
        return False
    finally:
        writer.transport.abort()
        with suppress(OSError, ssl.SSLError):
            await writer.wait_closed()
