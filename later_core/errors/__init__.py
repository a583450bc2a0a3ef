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
    │   ├── ClientStalled             a stream
    │   ├── ServerOverloaded
    │   ├── QuotaExceeded             create
    │   ├── PendingLimitReached       create, trigger, backfill, retry
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

from later_core.errors.authority import PermissionDenied, Unauthenticated
from later_core.errors.availability import (
    EncryptionKeyMissing,
    HistoryLost,
    ServerStopping,
    SnapshotLost,
    StoreUnavailable,
)
from later_core.errors.conflicts import (
    EtagMismatch,
    InstanceAlreadyExists,
    InstanceDiffers,
    InstanceEnded,
    InstanceNotEnded,
    InstanceRunning,
    RevisionMismatch,
    ScheduleAlreadyExists,
    ScheduleDiffers,
    WrongState,
)
from later_core.errors.installation import (
    CertificateUnusable,
    DatabaseTooOld,
    DataDirectoryInUse,
    ListenFailed,
    ListenUnprotected,
    Misconfigured,
    MongodFailed,
    MongodNotFound,
    PluginConflict,
    ReplicaSetNotInitiated,
    SchemaTooNew,
    SettingInvalid,
    StandaloneServer,
    TokenUnprotected,
)
from later_core.errors.limits import (
    ClientStalled,
    LimitReached,
    PendingLimitReached,
    QuotaExceeded,
    ServerOverloaded,
    SubscriberTooSlow,
    TooManyWatches,
)
from later_core.errors.missing import (
    InstanceNotFound,
    NodeNotFound,
    NotFound,
    ScheduleNotFound,
    TaskNotFound,
    TokenNotFound,
)
from later_core.errors.requests import FieldViolation, InvalidRequest, ResumeTokenInvalid
from later_core.errors.root import LaterError

__all__ = [
    "CertificateUnusable",
    "ClientStalled",
    "DataDirectoryInUse",
    "DatabaseTooOld",
    "EncryptionKeyMissing",
    "EtagMismatch",
    "FieldViolation",
    "HistoryLost",
    "InstanceAlreadyExists",
    "InstanceDiffers",
    "InstanceEnded",
    "InstanceNotEnded",
    "InstanceNotFound",
    "InstanceRunning",
    "InvalidRequest",
    "LaterError",
    "LimitReached",
    "ListenFailed",
    "ListenUnprotected",
    "Misconfigured",
    "MongodFailed",
    "MongodNotFound",
    "NodeNotFound",
    "NotFound",
    "PendingLimitReached",
    "PermissionDenied",
    "PluginConflict",
    "QuotaExceeded",
    "ReplicaSetNotInitiated",
    "ResumeTokenInvalid",
    "RevisionMismatch",
    "ScheduleAlreadyExists",
    "ScheduleDiffers",
    "ScheduleNotFound",
    "SchemaTooNew",
    "ServerOverloaded",
    "ServerStopping",
    "SettingInvalid",
    "SnapshotLost",
    "StandaloneServer",
    "StoreUnavailable",
    "SubscriberTooSlow",
    "TaskNotFound",
    "TokenNotFound",
    "TokenUnprotected",
    "TooManyWatches",
    "Unauthenticated",
    "WrongState",
]
