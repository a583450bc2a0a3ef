"""New instances into the database, many in one round trip, each told apart from its namesake."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from pymongo.errors import BulkWriteError

from later_core.errors import StoreUnavailable
from later_core.model.instance import Instance
from later_core.ports.store import IdTaken, Inserted, InsertResult
from later_core.stores.mongo import cursor
from later_core.stores.mongo.connection import Connection, Document
from later_core.stores.mongo.documents import readable, to_document
from later_core.stores.mongo.errors import DUPLICATE_KEY

#: How often an id may be taken when it is inserted and gone (its retention over) when looked at.
_ROUNDS = 3


async def insert(connection: Connection, instances: Sequence[Instance]) -> Sequence[InsertResult]:
    """As ``Store.insert`` promises it."""
    documents = [to_document(instance, connection.keys) for instance in instances]
    answers: dict[int, InsertResult] = {}
    left = list(range(len(documents)))
    for _ in range(_ROUNDS):
        if not left:
            return [answers[index] for index in range(len(documents))]
        taken = {left[at] for at in await insert_each(connection, [documents[i] for i in left])}
        for index in left:
            if index not in taken:
                answers[index] = Inserted(_as_stored(instances[index], documents[index]), True)
        stored = await stored_by_id(connection, sorted({instances[index].id for index in taken}))
        for index in taken:
            answer = _compare(connection, instances[index], stored)
            if answer is not None:
                answers[index] = answer
        left = sorted(index for index in taken if index not in answers)
    if left:
        raise StoreUnavailable("ids were taken and gone again")
    return [answers[index] for index in range(len(documents))]


async def insert_each(connection: Connection, documents: list[Document]) -> Sequence[int]:
    """Insert them, each by itself; the places of those whose id is taken."""
    with connection.call():
        try:
            await connection.instances.insert_many(documents, ordered=False)
        except BulkWriteError as error:
            details = error.details or {}
            refused = details.get("writeErrors", [])
            others = [one for one in refused if one["code"] != DUPLICATE_KEY]
            if others or details.get("writeConcernErrors"):
                raise
            return [one["index"] for one in refused]
    return []


async def stored_by_id(connection: Connection, ids: Sequence[str]) -> Mapping[str, Document]:
    """The documents of those of these ids that there are."""
    if not ids:
        return {}
    found: dict[str, Document] = {}
    missing = list(ids)
    while missing:
        with connection.call():
            batch = await cursor.find(
                connection, "instances", {"_id": {"$in": missing}}, hint="_id_"
            )
        found.update((document["_id"], document) for document in batch.documents)
        if not batch.cursor:
            break
        # A reply ends at 16 MiB: the others come with the next one.
        missing = [id for id in missing if id not in found]
    return found


def _compare(
    connection: Connection, instance: Instance, stored: Mapping[str, Document]
) -> InsertResult | None:
    document = stored.get(instance.id)
    if document is None:
        return None
    known = readable(document, connection.keys)
    if known is None or known.fingerprint != instance.fingerprint:
        return IdTaken(instance.id)
    return Inserted(known, is_new=False)


def _as_stored(instance: Instance, document: Document) -> Instance:
    """The instance as the database holds it, in whole milliseconds."""
    if document["execution_time"] == instance.execution_time:
        return instance
    return replace(instance, execution_time=document["execution_time"])
