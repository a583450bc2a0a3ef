"""Everything that is stored, encrypted with the newest key, so that older ones may go.

What changes is how values are written and nothing else: no revision, no event. A value is replaced only where
it still stands as it was read; what changed meanwhile is met by the next round.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import structlog
from pymongo import UpdateOne

from later_core.errors import EncryptionKeyMissing
from later_core.stores.mongo import cursor
from later_core.stores.mongo.connection import Connection, Document
from later_core.stores.mongo.documents import SEALED_FIELDS
from later_core.stores.mongo.key_ring import KeyRing, key_of
from later_core.stores.mongo.schedule_documents import SCHEDULE_FINGERPRINT, SCHEDULE_PARAMETERS

_log = structlog.get_logger(__name__)

#: Where the values stand in each collection, and what they are bound to.
_PLACES: Mapping[str, Mapping[str, str]] = {
    "instances": {field: field for field in sorted(SEALED_FIELDS)},
    "schedules": {
        "fingerprint": SCHEDULE_FINGERPRINT,
        "spec.template.parameters": SCHEDULE_PARAMETERS,
    },
}
_BATCH = 200
_ROUNDS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Rekeyed:
    """How many records were encrypted anew, and how many were left: unreadable, or always changing."""

    written: int
    left: int


class _Progress:
    """Tells how many records have been examined, and how many there were when it began."""

    def __init__(self, tell: Callable[[int, int], None] | None, total: int) -> None:
        self._tell = tell
        self._total = total
        self._examined = 0

    def add(self, examined: int) -> None:
        self._examined += examined
        if self._tell:
            self._tell(self._examined, max(self._total, self._examined))


async def rekey(connection: Connection, tell: Callable[[int, int], None] | None = None) -> Rekeyed:
    """Encrypt all that is stored in clear or with an older key. Repeating it changes nothing. ``tell`` is
    told how many records have been examined, and how many there were.

    Raises:
        StoreUnavailable: a part of it may be done.

    """
    written = left = 0
    progress = _Progress(tell, await _total(connection) if tell else 0)
    for collection, places in _PLACES.items():
        for number in range(_ROUNDS):
            done, missed, unread = await _round(
                connection, collection, places, progress if number == 0 else None
            )
            written += done
            if not missed:
                break
        left += missed + unread
    return Rekeyed(written=written, left=left)


async def _total(connection: Connection) -> int:
    with connection.call():
        return sum([await connection.database[name].estimated_document_count() for name in _PLACES])


async def _round(
    connection: Connection,
    collection: str,
    places: Mapping[str, str],
    progress: _Progress | None,
) -> tuple[int, int, int]:
    """All records once: how many were written, changed meanwhile, and cannot be read."""
    written = missed = unread = 0
    mark = uuid.uuid4().hex
    query: Document = {"_id": {"$gte": ""}}
    while True:
        with connection.call():
            batch = await cursor.find(
                connection,
                collection,
                query,
                projection=dict.fromkeys(places, 1),
                sort={"_id": 1},
                limit=_BATCH,
                hint="_id_",
            )
        updates = []
        for document in batch.documents:
            try:
                changed = _anew(document, places, connection.keys)
            except (EncryptionKeyMissing, TypeError, ValueError) as error:
                unread += 1
                _log.error("cannot encrypt anew", id=document["_id"], detail=str(error))
                continue
            if changed:
                standing = {name: _at(document, name) for name in changed}
                content = {**changed, "sealed": connection.keys.newest, "rekeyed": mark}
                updates.append(
                    UpdateOne({"_id": document["_id"], **standing}, {"$set": content}, hint="_id_")
                )
        if updates:
            with connection.call():
                result = await connection.database[collection].bulk_write(updates, ordered=False)
            written += result.matched_count
            missed += len(updates) - result.matched_count
        if progress:
            progress.add(len(batch.documents))
        if len(batch.documents) < _BATCH and not batch.cursor:
            return written, missed, unread
        query = {"_id": {"$gt": batch.documents[-1]["_id"]}}


def _anew(document: Document, places: Mapping[str, str], keys: KeyRing) -> Document:
    """The values that are not sealed with the newest key, sealed with it."""
    id = document["_id"]
    return {
        name: keys.seal(keys.open(value, record=id, field=field), record=id, field=field)
        for name, field in places.items()
        if (value := _at(document, name)) is not None and key_of(value) != keys.newest
    }


def _at(document: Document, path: str) -> Any:
    part: Any = document
    for name in path.split("."):
        part = part.get(name) if isinstance(part, dict) else None
    return part
