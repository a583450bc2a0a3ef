"""What the owner of an attempt writes of it: that it began, how it ended. Fenced, and grouped.

Each ending has times and a result of its own, which an update of many documents cannot tell apart,
and one update for each is slow (8,000 to 11,000 a second were measured). So a group of endings is
one update whose pipeline carries all their contents and picks, for each document, what belongs to
its id: twice as fast.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from pymongo import UpdateMany

from later_core.model.attempts import shortened
from later_core.model.instance import Attempt
from later_core.model.instant import round_up, to_millis
from later_core.model.outcome import Ending
from later_core.model.state import State
from later_core.stores.mongo import cursor
from later_core.stores.mongo.connection import Connection, Document
from later_core.stores.mongo.documents import error_field, result_field
from later_core.stores.mongo.histories import appended, attempt_document
from later_core.stores.mongo.key_ring import KeyRing

#: Members of one update. The server finds the one of a document by comparing ids one by one, so
#: that larger groups cost more, and smaller ones make more updates; 50 to 250 were measured alike.
_GROUP_SIZE = 100

#: What the members of one update may weigh; a command ends at 16 MiB.
_GROUP_BYTES = 4 * 1024 * 1024

_DIGEST_BYTES = 12


async def finish(connection: Connection, endings: Sequence[Ending]) -> Sequence[bool]:
    """As ``Store.finish`` promises it."""
    if not endings:
        return []
    digests = [_digest(ending, connection.keys.mark_key) for ending in endings]
    first: dict[str, tuple[Ending, bytes]] = {}
    for ending, digest in zip(endings, digests, strict=True):
        first.setdefault(ending.id, (ending, digest))
    updates = [_ending_update(group, connection.keys) for group in _groups(first.values())]
    with connection.call():
        result = await connection.instances.bulk_write(updates, ordered=False)
    if result.matched_count == len(endings):
        return [True] * len(endings)
    # Some were fenced off, or written before: the mark of the last ending tells the two apart.
    written = await _written(connection, list(first))
    return [
        written.get(ending.id) == digest for ending, digest in zip(endings, digests, strict=True)
    ]


async def started(
    connection: Connection, starts: Mapping[tuple[str, int], datetime], *, node: str
) -> None:
    """As ``Store.started`` promises it."""
    by_attempt: dict[int, list[tuple[str, datetime]]] = defaultdict(list)
    for (id, attempt), start_time in starts.items():
        by_attempt[attempt].append((id, start_time))
    updates = [
        _start_update(members[at : at + _GROUP_SIZE], node, attempt)
        for attempt, members in by_attempt.items()
        for at in range(0, len(members), _GROUP_SIZE)
    ]
    if updates:
        with connection.call():
            await connection.instances.bulk_write(updates, ordered=False)


def _groups(endings: Iterable[tuple[Ending, bytes]]) -> Iterator[list[tuple[Ending, bytes]]]:
    """Endings of one node and attempt number, as many as one update carries. Those that are followed by
    another attempt go by themselves: they alone write the history."""
    groups: dict[tuple[str, int, bool], list[tuple[Ending, bytes]]] = defaultdict(list)
    weights: dict[tuple[str, int, bool], int] = defaultdict(int)
    for ending, digest in endings:
        key = (ending.node, ending.attempt, ending.state is State.PENDING)
        weight = len(ending.result) + 1024
        if len(groups[key]) >= _GROUP_SIZE or weights[key] + weight > _GROUP_BYTES:
            yield groups.pop(key)
            weights[key] = 0
        groups[key].append((ending, digest))
        weights[key] += weight
    yield from (group for group in groups.values() if group)


def _ending_update(group: list[tuple[Ending, bytes]], keys: KeyRing) -> UpdateMany:
    ids = [ending.id for ending, _ in group]
    contents = [_content(ending, digest, keys) for ending, digest in group]
    changes = [_own(ids, contents), {"revision": {"$add": ["$revision", 1]}}]
    if group[0][0].state is State.PENDING:
        ended = [attempt_document(_attempt(ending)) for ending, _ in group]
        changes.append({"attempts": appended([_own(ids, ended)])})
    return UpdateMany(
        _owned(ids, group[0][0].node, group[0][0].attempt),
        [{"$replaceWith": {"$mergeObjects": ["$$ROOT", *changes]}}],
        hint="_id_",
    )


def _start_update(members: list[tuple[str, datetime]], node: str, attempt: int) -> UpdateMany:
    ids = [id for id, _ in members]
    start_time = _own(ids, [start_time for _, start_time in members])
    is_known = {"$eq": ["$start_time", start_time]}
    return UpdateMany(
        _owned(ids, node, attempt),
        [
            {
                "$set": {
                    "start_time": start_time,
                    # A repeated call changes nothing: no revision, no event.
                    "revision": {"$cond": [is_known, "$revision", {"$add": ["$revision", 1]}]},
                }
            }
        ],
        hint="_id_",
    )


def _owned(ids: list[str], node: str, attempt: int) -> Document:
    return {"_id": {"$in": ids}, "state": "RUNNING", "node": node, "attempt": attempt}


def _own(ids: list[str], values: Sequence[Any]) -> Document:
    """The value that stands where the document's id does; every id met is among them."""
    place = {"$indexOfArray": [{"$literal": ids}, "$_id"]}
    return {"$arrayElemAt": [{"$literal": values}, place]}


def _content(ending: Ending, digest: bytes, keys: KeyRing) -> Document:
    content: Document = {
        "state": ending.state.value,
        "start_time": ending.start_time,
        "finish_time": ending.finish_time,
        "result": _result(ending, keys),
        "error": error_field(ending.error),
        "ending": digest,
    }
    if ending.execution_time is not None:
        content["execution_time"] = round_up(ending.execution_time)
    if ending.uncounted_attempts:
        content["uncounted_attempts"] = ending.uncounted_attempts
    return content


def _result(ending: Ending, keys: KeyRing) -> bytes | None:
    result = result_field(ending.result)
    return result and keys.seal(result, record=ending.id, field="result")


def _attempt(ending: Ending) -> Attempt:
    error = ending.attempt_error
    return Attempt(
        number=ending.attempt,
        node=ending.node,
        start_time=ending.start_time,
        end_time=ending.end_time,
        error=error and shortened(error),
    )


def _digest(ending: Ending, key: bytes) -> bytes:
    """A mark that equal endings share and no others."""
    times = (ending.start_time, ending.end_time, ending.execution_time)
    start, end, execution = (None if time is None else to_millis(time) for time in times)
    error = ending.error and (ending.error.reason, ending.error.message)
    content = (
        f"{ending.node!r} {ending.attempt} {ending.uncounted_attempts} {ending.state.value}"
        f" {start} {end} {execution} {error!r} "
    )
    data = content.encode() + ending.result
    return hashlib.blake2b(data, digest_size=_DIGEST_BYTES, key=key).digest()


async def _written(connection: Connection, ids: list[str]) -> Mapping[str, bytes | None]:
    with connection.call():
        batch = await cursor.find(
            connection, "instances", {"_id": {"$in": ids}}, projection={"ending": 1}, hint="_id_"
        )
    return {row["_id"]: row.get("ending") for row in batch.documents}
