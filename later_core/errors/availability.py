"""What cannot be had from this server or its database, for now or for good."""

from __future__ import annotations

from later_core.errors.root import LaterError


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
