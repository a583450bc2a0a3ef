"""What people change of one instance: abort, reschedule, retry.

Each is one conditional update that answers the record as it is afterwards; only when nothing met
the condition is the record read, to say why. Between the two it may have changed so that the
condition holds again: then the update is tried anew.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from pymongo import ReturnDocument

from later_core.errors import (
    InstanceEnded,
    InstanceNotEnded,
    InstanceNotFound,
    InstanceRunning,
    LaterError,
    RevisionMismatch,
    StoreUnavailable,
)
from later_core.model.instance import Instance
from later_core.model.instant import round_up
from later_core.model.state import FINAL_STATES, State
from later_core.ports.store import Aborted
from later_core.stores.mongo import histories, listing
from later_core.stores.mongo.connection import Connection, Document

#: Reads that found the condition met again, one after the other, before the caller is asked to
#: come back.
_ROUNDS = 20

_NEXT_REVISION: Document = {"$add": ["$revision", 1]}
_FINAL = sorted(state.value for state in FINAL_STATES)

Update = Document | list[Document]
#: Says why the instance cannot be changed; None: it can, try again.
Objection = Callable[[Instance], LaterError | None]


async def abort(connection: Connection, id: str) -> Aborted:
    """As ``Store.abort`` promises it."""
    document = await _change(
        connection,
        {"_id": id, "state": {"$in": ["PENDING", "RUNNING"]}},
        [
            {
                "$set": {
                    "aborted_at": "$state",
                    "state": "ABORTED",
                    "finish_time": "$$NOW",
                    "revision": _NEXT_REVISION,
                }
            }
        ],
        lambda found: InstanceEnded(id, found.state) if found.state.is_final else None,
    )
    # One update changed just these fields, and kept what the state was.
    before = {
        **document,
        "state": document["aborted_at"],
        "finish_time": None,
        "revision": document["revision"] - 1,
    }
    return Aborted(_instance(connection, before), _instance(connection, document))


async def reschedule(
    connection: Connection, id: str, execution_time: datetime, *, revision: int | None
) -> Instance:
    """As ``Store.reschedule`` promises it."""

    def objection(found: Instance) -> LaterError | None:
        if found.state is State.RUNNING:
            return InstanceRunning(id)
        if found.state.is_final:
            return InstanceEnded(id, found.state)
        if revision is not None and found.revision != revision:
            return RevisionMismatch(id, revision, found.revision)
        return None

    condition: Document = {"_id": id, "state": "PENDING"}
    if revision is not None:
        condition["revision"] = revision
    update = {"$set": {"execution_time": round_up(execution_time)}, "$inc": {"revision": 1}}
    return _instance(connection, await _change(connection, condition, update, objection))


async def retry(connection: Connection, id: str, execution_time: datetime) -> Instance:
    """As ``Store.retry`` promises it."""
    document = await _change(
        connection,
        {"_id": id, "state": {"$in": _FINAL}},
        [
            {
                "$set": {
                    "state": "PENDING",
                    "execution_time": round_up(execution_time),
                    "uncounted_attempts": "$attempt",
                    "revision": _NEXT_REVISION,
                    "attempts": histories.with_last_of_ended(),
                }
            },
            {"$unset": ["finish_time", "start_time", "result", "error", "node", "claim"]},
        ],
        lambda found: None if found.state.is_final else InstanceNotEnded(id, found.state),
    )
    return _instance(connection, document)


async def _change(
    connection: Connection, condition: Document, update: Update, objection: Objection
) -> Document:
    for _ in range(_ROUNDS):
        with connection.call():
            document: Document | None = await connection.instances.find_one_and_update(
                condition, update, return_document=ReturnDocument.AFTER
            )
        if document is not None:
            return document
        found = await listing.get(connection, condition["_id"])
        if found is None:
            raise InstanceNotFound(condition["_id"])
        if (error := objection(found)) is not None:
            raise error
    raise StoreUnavailable("the instance changed each time it was looked at")


def _instance(connection: Connection, document: Document) -> Instance:
    instance = listing.read(connection, document)
    if instance is None:
        raise InstanceNotFound(str(document["_id"]))
    return instance
