"""What goes wrong in the driver or the database, as the errors of Later.

Whatever the database answers, a caller meets StoreUnavailable (or an error with a meaning of its
own): one bad answer must never end the process. What does not look like an outage is logged, since
then a person has something to mend.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from pymongo.errors import (
    BulkWriteError,
    ConnectionFailure,
    InvalidOperation,
    OperationFailure,
    PyMongoError,
)

from later_core.errors import HistoryLost, LaterError, StoreUnavailable

logger = structlog.get_logger(__name__)

# Codes of the server (src/mongo/base/error_codes.yml).
DUPLICATE_KEY = 11000
#: What a hint at an index is answered that there is not, among much else.
BAD_VALUE = 2
NAMESPACE_EXISTS = 48

#: Outages and their neighbours: host away, shutdown, step-down, election, time over, interrupted.
_AWAY = frozenset(
    {6, 7, 43, 50, 64, 89, 91, 112, 133, 134, 175, 189, 202, 237, 262}
    | {9001, 10058, 10107, 11600, 11601, 11602, 13435, 13436}
)

#: The history behind a resume token, or its post-images, are gone: NoMatchingDocument,
#: CappedPositionLost, ChangeStreamFatalError, ChangeStreamHistoryLost.
_HISTORY_LOST = frozenset({47, 136, 280, 286})

#: SnapshotTooOld, SnapshotUnavailable.
_SNAPSHOT_LOST = frozenset({239, 246})


@contextmanager
def in_our_words() -> Iterator[None]:
    """Any error of the driver inside comes out as StoreUnavailable."""
    try:
        yield
    except PyMongoError as error:
        raise unavailable(error) from error


def unavailable(error: PyMongoError) -> StoreUnavailable:
    """StoreUnavailable for any error of the driver, logged when it is not an outage."""
    if not is_outage(error):
        logger.error("database refused an operation", code=code_of(error), detail=str(error)[:1000])
    # The driver repeats at length, behind a comma, what it knows of every server.
    said = str(error).partition(", Timeout: ")[0]
    return StoreUnavailable(f"{type(error).__name__}: {said}")


def is_outage(error: PyMongoError) -> bool:
    """Whether the database is away, not answering in time, or left behind by ``close``."""
    if isinstance(error, ConnectionFailure | InvalidOperation):
        return True
    if isinstance(error, BulkWriteError):
        # Its own code says only that some of the writes failed.
        details = error.details or {}
        parts = [*details.get("writeErrors", ()), *details.get("writeConcernErrors", ())]
        return bool(parts) and all(part.get("code") in _AWAY for part in parts)
    return error.timeout or code_of(error) in _AWAY


def code_of(error: PyMongoError) -> int | None:
    """The server's code for it, if the server answered."""
    return error.code if isinstance(error, OperationFailure) else None


def history_error(error: PyMongoError) -> LaterError:
    """What an error of the change stream means to a follower."""
    if code_of(error) in _HISTORY_LOST or error.has_error_label("NonResumableChangeStreamError"):
        return HistoryLost()
    return unavailable(error)


def snapshot_error(error: PyMongoError) -> LaterError:
    """What an error of a read at a past moment means to its reader."""
    return HistoryLost() if code_of(error) in _SNAPSHOT_LOST else unavailable(error)
