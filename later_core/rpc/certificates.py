"""What the server shows to who connects: its certificate, which may be renewed while it serves."""

from __future__ import annotations

import threading

import grpc
import structlog

from later_core.errors import CertificateUnusable
from later_core.model.tls import ServerTls
from later_core.rpc.pem import Renewals, check_pair, check_roots, read_certificate, read_key

_log = structlog.get_logger(__name__)

_CERT, _KEY, _CLIENT_CA = "LATER_TLS_CERT", "LATER_TLS_KEY", "LATER_TLS_CLIENT_CA"


class Certificates:
    """Reads the files again when they have changed; each new connection asks for that.

    Connections that are open keep what they began with. A renewal that cannot be used is logged
    once, and what was there before stays in force.
    """

    def __init__(self, tls: ServerTls) -> None:
        self._tls = tls
        self._renewals = Renewals([each for each in (tls.cert, tls.key, tls.client_ca) if each])
        # gRPC asks in threads of its own, in several at once.
        self._lock = threading.Lock()

    def credentials(self) -> grpc.ServerCredentials:
        """For the port; they stay fresh by themselves.

        Raises:
            CertificateUnusable.

        """
        return grpc.dynamic_ssl_server_credentials(
            self._read(),
            self._renewed,  # type: ignore[arg-type]  # the stubs forget that None is lawful
            self._tls.client_ca is not None,
        )

    def _renewed(self) -> grpc.ServerCertificateConfiguration | None:
        """Called by gRPC before each handshake; None leaves things as they are. Must not raise."""
        with self._lock:
            if not self._renewals.were_there():
                return None
            try:
                renewed = self._read()
            except CertificateUnusable as error:
                _log.error(
                    "renewed certificate cannot be used, the old one stays", detail=str(error)
                )
                return None
        _log.info("certificate renewed")
        return renewed

    def _read(self) -> grpc.ServerCertificateConfiguration:
        tls = self._tls
        cert, key = read_certificate(_CERT, tls.cert), read_key(_KEY, tls.key)
        check_pair(_CERT, cert, key)
        roots = None
        if tls.client_ca:
            roots = read_certificate(_CLIENT_CA, tls.client_ca)
            check_roots(_CLIENT_CA, roots)
        return grpc.ssl_server_certificate_configuration([(key, cert)], roots)
