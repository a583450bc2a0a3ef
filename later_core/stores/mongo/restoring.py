"""Instances that were exported into the database, each as it was."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from pymongo import ReplaceOne

from later_core.errors import StoreUnavailable
from later_core.model.instance import Instance
from later_core.model.state import State
from later_core.model.transfer import Restored, in_place_of, judge
from later_core.stores.mongo.connection import Connection, Document
from later_core.stores.mongo.documents import readable, to_document
from later_core.stores.mongo.inserts import insert_each, stored_by_id

#: How often what is stored may change between the look and the write.
_ROUNDS = 5


async def restore(
    connection: Connection,
    instances: Sequence[Instance],
    *,
    may_replace: bool,
    validate_only: bool,
) -> Sequence[Restored]:
    """As ``Store.restore`` promises it."""
    left = {instance.id: instance for instance in instances}
    answers: dict[str, Restored] = {}
    if validate_only:
        stored = await stored_by_id(connection, sorted(left))
        answers = {
            id: _judge(connection, stored.get(id), left[id], may_replace=may_replace) for id in left
        }
        return [answers[instance.id] for instance in instances]
    #: Of what a round tried to replace, the next one sees whether that was done.
    tried: set[str] = set()
    for _ in range(_ROUNDS):
        # Looked at first: of what is there already, the server would explain each refusal at length.
        stored = await stored_by_id(connection, sorted(left))
        new = {id: wanted for id, wanted in left.items() if id not in stored}
        taken = await _insert(connection, list(new.values()))
        answers.update(dict.fromkeys(new.keys() - taken, Restored.IMPORTED))
        left = {id: wanted for id, wanted in left.items() if id in taken or id in stored}
        verdicts = {
            id: _judge(connection, document, left[id], may_replace=may_replace)
            for id, document in stored.items()
        }
        for id, verdict in verdicts.items():
            if verdict is Restored.REPLACED:
                continue
            is_ours = verdict is Restored.EXISTING and id in tried
            answers[id] = Restored.REPLACED if is_ours else verdict
            del left[id]
        replacing = [id for id, verdict in verdicts.items() if verdict is Restored.REPLACED]
        tried.update(replacing)
        if await _replace(connection, replacing, left, stored):
            answers.update(dict.fromkeys(replacing, Restored.REPLACED))
            left = {id: wanted for id, wanted in left.items() if id not in verdicts}
        if not left:
            return [answers[instance.id] for instance in instances]
    raise StoreUnavailable("what is stored changed again and again")


async def _insert(connection: Connection, instances: Sequence[Instance]) -> set[str]:
    """Insert them, each by itself; the ids that are taken."""
    if not instances:
        return set()
    refused = await insert_each(
        connection, [to_document(instance, connection.keys) for instance in instances]
    )
    return {instances[index].id for index in refused}


def _judge(
    connection: Connection, document: Document | None, wanted: Instance, *, may_replace: bool
) -> Restored:
    if document is None:
        return Restored.IMPORTED
    stored = readable(document, connection.keys)
    # What cannot be read might be anything; it is left for a person to look at.
    return Restored.TAKEN if stored is None else judge(stored, wanted, may_replace=may_replace)


async def _replace(
    connection: Connection,
    ids: Collection[str],
    wanted: Mapping[str, Instance],
    stored: Mapping[str, Document],
) -> bool:
    """Put them in the place of what is stored, while it stands where it was read; whether all were."""
    writes: list[ReplaceOne[Document]] = []
    for id in ids:
        before = readable(stored[id], connection.keys)
        if before is not None:
            standing = {
                "_id": id,
                "revision": before.revision,
                "create_time": before.create_time,
                "state": {"$ne": State.RUNNING.value},
            }
            writes.append(
                ReplaceOne(
                    standing,
                    to_document(in_place_of(before, wanted[id]), connection.keys),
                    hint="_id_",
                )
            )
    if not writes:
        return True
    with connection.call():
        result = await connection.instances.bulk_write(writes, ordered=False)
    return bool(result.matched_count == len(writes))
