"""Where the cluster is and who asks: from a kubeconfig, or from the pod that the server runs in."""

import base64
import os
import ssl
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

#: What a cluster puts into every pod that has a service account.
POD_FOLDER = Path("/var/run/secrets/kubernetes.io/serviceaccount")


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """One cluster, asked as one user. A token in a file is read at each request: clusters renew it."""

    url: str
    namespace: str
    tls: ssl.SSLContext | bool
    token: str | None = None
    token_file: Path | None = None

    def headers(self) -> Mapping[str, str]:
        """What says who asks.

        Raises:
            OSError: the file with the token is gone.

        """
        token = self.token_file.read_text().strip() if self.token_file else self.token
        return {"Authorization": f"Bearer {token}"} if token else {}


def from_pod(
    folder: Path = POD_FOLDER,
    environment: Mapping[str, str] = os.environ,  # noqa: TID251 - what a cluster tells its pods; no setting is read here
) -> Access | None:
    """The service account of this pod; None outside of any cluster."""
    host, port = (
        environment.get("KUBERNETES_SERVICE_HOST"),
        environment.get("KUBERNETES_SERVICE_PORT"),
    )
    if not host or not port or not (folder / "token").exists():
        return None
    namespace = folder / "namespace"
    return Access(
        url=f"https://{f'[{host}]' if ':' in host else host}:{port}",
        namespace=namespace.read_text().strip() if namespace.exists() else "default",
        tls=ssl.create_default_context(cafile=str(folder / "ca.crt")),
        token_file=folder / "token",
    )


def from_file(path: str, context: str) -> Access:
    """What a kubeconfig says; ``context`` by default its current one.

    Raises:
        OSError, ValueError: the file cannot be read, or asks for something that is not supported.

    """
    file = Path(path).expanduser()
    try:
        config = yaml.safe_load(file.read_text())
        chosen = _named(config["contexts"], context or config["current-context"])["context"]
        cluster = _named(config["clusters"], chosen["cluster"])["cluster"]
        user = _named(config.get("users") or (), chosen["user"]).get("user") or {}
        url = str(cluster["server"]).rstrip("/")
    except (yaml.YAMLError, KeyError, TypeError) as error:
        raise ValueError(f"k8s_kubeconfig: {path} lacks {error}") from error
    for way in ("exec", "auth-provider", "username"):
        if way in user:
            raise ValueError(
                f"k8s_kubeconfig: {way} of the user {chosen['user']!r} is not supported; use a token or"
                " a certificate"
            )
    token_file = user.get("tokenFile")
    return Access(
        url=url,
        namespace=chosen.get("namespace") or "default",
        tls=_tls(cluster, user, file.parent) if url.startswith("https:") else True,
        token=user.get("token"),
        token_file=file.parent / token_file if token_file else None,
    )


def _named(entries: Sequence[Mapping[str, Any]], name: str) -> Mapping[str, Any]:
    for entry in entries:
        if entry["name"] == name:
            return entry
    raise KeyError(name)


def _tls(cluster: Mapping[str, Any], user: Mapping[str, Any], folder: Path) -> ssl.SSLContext:
    authority = _content(cluster, "certificate-authority", folder)
    context = ssl.create_default_context(cadata=authority.decode() if authority else None)
    if cluster.get("insecure-skip-tls-verify"):
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    certificate = _content(user, "client-certificate", folder)
    key = _content(user, "client-key", folder)
    if certificate and key:
        # Python reads certificates from files alone. Only its owner can read this one, and it goes at once.
        with tempfile.NamedTemporaryFile() as both:
            both.write(certificate + b"\n" + key)
            both.flush()
            context.load_cert_chain(both.name)
    return context


def _content(entry: Mapping[str, Any], name: str, folder: Path) -> bytes | None:
    """What the entry holds, or what the file that it names does."""
    if data := entry.get(f"{name}-data"):
        return base64.b64decode(data)
    return (folder / entry[name]).read_bytes() if entry.get(name) else None
