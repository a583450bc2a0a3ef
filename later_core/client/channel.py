"""The connection to a server: how it is kept alive, and which calls are repeated by themselves."""

from __future__ import annotations

import json
import ssl
from pathlib import Path

import grpc

from later_core.client.renewal import RenewingChannel
from later_core.model.limits import RESPONSE_MAX_BYTES
from later_core.model.tls import ClientTls
from later_core.rpc.pem import Renewals, check_pair, check_roots, read_certificate, read_key

#: Calls that may be made twice without harm: reads, creates, which carry their id, and a drain. Not
#: what says why (pause, resume), or may have been refused for what came in between (update).
_REPEATABLE = {
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
        *("ListTokens", "RevokeToken", "ListAuditEntries"),
    ),
    "grpc.health.v1.Health": ("Check",),
}

_RETRY_POLICY = {
    "maxAttempts": 3,
    "initialBackoff": "0.1s",
    "maxBackoff": "1s",
    "backoffMultiplier": 3,
    "retryableStatusCodes": ["UNAVAILABLE"],
}

_SERVICE_CONFIG = {
    "methodConfig": [
        {
            "name": [
                {"service": service, "method": method}
                for service, methods in _REPEATABLE.items()
                for method in methods
            ],
            "retryPolicy": _RETRY_POLICY,
        }
    ]
}

_OPTIONS: tuple[tuple[str, str | int], ...] = (
    ("grpc.service_config", json.dumps(_SERVICE_CONFIG)),
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

    Without ``tls`` nothing is encrypted. Files that are renewed hold from the next connection on.

    Raises:
        CertificateUnusable.

    """
    if tls is None:
        return grpc.aio.insecure_channel(address, options=_OPTIONS)
    options = _OPTIONS
    if tls.server_name:
        options += (("grpc.ssl_target_name_override", tls.server_name),)
    files = [each for each in (tls.ca, tls.cert, tls.key) if each]
    return RenewingChannel(
        lambda: grpc.aio.secure_channel(address, _credentials(tls), options=options),
        Renewals(files),
    )


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
