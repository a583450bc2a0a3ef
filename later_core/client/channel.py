"""The connection to a server: how it is kept alive, and which calls are repeated by themselves."""

from __future__ import annotations

import json
import ssl
from collections.abc import Mapping, Sequence
from pathlib import Path

import grpc

from later_core.client.renewal import RenewingChannel
from later_core.model.address import is_shared, one_family, servers
from later_core.model.limits import RESPONSE_MAX_BYTES
from later_core.model.tls import ClientTls
from later_core.rpc.pem import Renewals, check_pair, check_roots, read_certificate, read_key

#: Calls that may be made twice without harm: reads, creates, which carry their id, and a drain. Not
#: what says why (pause, resume), or may have been refused for what came in between (update).
REPEATABLE: Mapping[str, Sequence[str]] = {
    "later.v1.InstanceService": (
        "CreateInstance",
        "BatchCreateInstances",
        "GetInstance",
        "ListInstances",
    ),
    "later.v1.ScheduleService": (
        "CreateSchedule",
        "GetSchedule",
        "ListSchedules",
        "TriggerSchedule",
        "BackfillSchedule",
        "PreviewSchedule",
    ),
    "later.v1.TaskService": ("ListTasks", "GetTask"),
    "later.v1.AdminService": (
        *("GetStats", "ListNodes", "DrainNode"),
        *("ListTokens", "RevokeToken", "ListAuditEntries", "WhoAmI"),
    ),
    "grpc.health.v1.Health": ("Check",),
}

_RETRY_POLICY = {
    "maxAttempts": 3,
    "initialBackoff": "0.1s",
    "maxBackoff": "1s",
    "backoffMultiplier": 3,
    # A server that is stopped lets gRPC end what it has not taken up yet, with a bare CANCELLED.
    "retryableStatusCodes": ["UNAVAILABLE", "CANCELLED"],
}

#: With several addresses gRPC would look for the whole list in each certificate.
_NAME_NEEDED = (
    "checks one name in the certificates of several addresses; say which (tls_server_name)"
)

#: For several servers: calls go round those whose health service says SERVING, which gRPC watches.
#: One server is asked whatever its health, since it says itself why it cannot answer.
_SHARED: Mapping[str, object] = {
    "loadBalancingConfig": [{"round_robin": {}}],
    "healthCheckConfig": {"serviceName": ""},
}


def service_config(address: str) -> str:
    """What gRPC does by itself on a channel to this address (gRFC A2, A6 and A17), as JSON."""
    names = [
        {"service": service, "method": method}
        for service, methods in REPEATABLE.items()
        for method in methods
    ]
    repeated = {"methodConfig": [{"name": names, "retryPolicy": _RETRY_POLICY}]}
    return json.dumps({**repeated, **(_SHARED if is_shared(address) else {})})


_OPTIONS: tuple[tuple[str, str | int], ...] = (
    # A lost network is noticed within about a minute and a half, also by a watch that hears nothing.
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    # A page may exceed the bound of the server's batches by one instance: parameters and result.
    ("grpc.max_receive_message_length", 4 * RESPONSE_MAX_BYTES),
    # After a restart of the server the way back is tried soon.
    ("grpc.max_reconnect_backoff_ms", 10_000),
)


_CA, _CERT, _KEY = "LATER_TLS_CA", "LATER_TLS_CLIENT_CERT", "LATER_TLS_CLIENT_KEY"
#: Where a directory of roots has all of them in one file as well.
_BUNDLE = "ca-certificates.crt"


def open_channel(address: str, tls: ClientTls | None = None) -> grpc.aio.Channel:
    """A channel to ``host:port`` (any gRPC name); nothing is sent before the first call.

    Several IP addresses with commas between, or ``dns:name:port``, share the calls. Without ``tls``
    nothing is encrypted. Files that are renewed hold from the next connection on.

    Raises:
        CertificateUnusable.
        ValueError: several addresses that are not all IPv4 or all IPv6, or that TLS has no name for.

    """
    if tls is not None and "," in address and not tls.server_name:
        raise ValueError(f"{address!r}: gRPC {_NAME_NEEDED}")
    options = (*_OPTIONS, ("grpc.service_config", service_config(address)))
    target = _target(address)
    if tls is None:
        return grpc.aio.insecure_channel(target, options=options)
    if tls.server_name:
        options += (("grpc.ssl_target_name_override", tls.server_name),)
    files = [each for each in (tls.ca, tls.cert, tls.key) if each]
    return RenewingChannel(
        lambda: grpc.aio.secure_channel(target, _credentials(tls), options=options),
        Renewals(files),
    )


def _target(address: str) -> str:
    """How gRPC writes it; only of IP addresses can it be given several."""
    if "," not in address or address.startswith(("ipv4:", "ipv6:")):
        return address
    each = servers(address)
    family = one_family(each)
    if family is None:
        raise ValueError(f"{address!r}: several addresses must all be IPv4 or all IPv6")
    return f"{family}:{','.join(each)}"


def roots_of(tls: ClientTls) -> bytes | None:
    """The roots that are trusted, in PEM; None: those that gRPC brings along.

    Raises:
        CertificateUnusable.

    """
    if tls.ca:
        roots = read_certificate(_CA, tls.ca)
        check_roots(_CA, roots)
        return roots
    # gRPC would trust the roots that it was built with, and those of the machine not at all.
    places = ssl.get_default_verify_paths()
    bundle = places.cafile or (places.capath and str(Path(places.capath, _BUNDLE)))
    return Path(bundle).read_bytes() if bundle and Path(bundle).is_file() else None


def _credentials(tls: ClientTls) -> grpc.ChannelCredentials:
    cert = key = None
    if tls.cert and tls.key:
        cert, key = read_certificate(_CERT, tls.cert), read_key(_KEY, tls.key)
        check_pair(_CERT, cert, key)
    return grpc.ssl_channel_credentials(roots_of(tls), key, cert)
