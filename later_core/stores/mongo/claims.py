"""PENDING -> RUNNING by this node, and back for what a lost answer left behind.

Two round trips for any number of instances: one update that marks them with a token of this very
call, one read by the token. The token also tells, after an error that leaves the write in doubt,
what it has done.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime

import structlog

from later_core.errors import StoreUnavailable
from later_core.model.attempts import CLAIM_LOST
from later_core.model.instance import Instance
from later_core.model.state import State
from later_core.ports.clock import Clock
from later_core.ports.turns import in_turns
from later_core.stores.mongo import cursor, histories, queries
from later_core.stores.mongo.connection import Connection, Document
from later_core.stores.mongo.documents import readable_ones

logger = structlog.get_logger(__name__)

#: How long after its first error a claim goes on to find out what it has done, in seconds.
_DOUBT_SECONDS = 10.0
_PAUSE_SECONDS = 0.1

#: So many instances are made of documents in one turn of the event loop, a quarter of a millisecond.
_PORTION = 16

#: An update of many stops at the first record that it cannot count up, and the others would never
#: be claimed: one that no Later has written is left out.
COUNTABLE: Document = {"attempt": {"$type": "number"}, "revision": {"$type": "number"}}


def new_token() -> str:
    """A word that no other call has."""
    return uuid.uuid4().hex


async def claim(
    connection: Connection,
    clock: Clock,
    ids: Sequence[str],
    *,
    node: str,
    until: datetime,
    is_admitted: bool,
    but_tasks: Collection[str] = (),
) -> Sequence[Instance]:
    """As ``Store.claim`` promises it."""
    if not ids:
        return []
    token = new_token()
    mine = [None, *connection.keys.names]
    due: Document = {
        "_id": {"$in": list(ids)},
        "state": "PENDING",
        "execution_time": {"$lte": until},
        "sealed": {"$in": mine},
        **COUNTABLE,
    }
    if not is_admitted:
        due["concurrency"] = None  # not there
    if but_tasks:
        due["task"] = {"$nin": sorted(but_tasks)}
    # Read along with what was claimed, to be told of: what waits for a key that is not here.
    locked = {"state": "PENDING", "execution_time": {"$lte": until}, "sealed": {"$nin": mine}}
    give_up: float | None = None
    while True:
        try:
            # In doubt, the claim is written again with the same token. What the first write took
            # is PENDING no more, so that nothing is claimed twice, and all that carries the token
            # is this call's, whichever of the writes took it.
            await _write(connection, due, node=node, token=token)
            claimed = await marked(connection, ids, {"$or": [{"claim": token}, locked]})
        except StoreUnavailable as error:
            logger.warning("claim in doubt", instances=len(ids), detail=error.detail)
            give_up = give_up or clock.monotonic() + _DOUBT_SECONDS
            if clock.monotonic() >= give_up:
                raise
            await clock.sleep(_PAUSE_SECONDS)
        else:
            return [_as_claimed(instance) for instance in claimed]


async def _write(connection: Connection, due: Document, *, node: str, token: str) -> None:
    with connection.call():
        await connection.instances.update_many(
            due,
            {
                "$set": {"state": "RUNNING", "node": node, "claim": token},
                "$inc": {"attempt": 1, "revision": 1},
                "$unset": {"start_time": "", "error": ""},
            },
            # Left to itself the planner walks the time index, at a third of the rate.
            hint="_id_",
        )


async def marked(connection: Connection, ids: Sequence[str], mark: Document) -> Sequence[Instance]:
    """Those of the ids that carry this mark, as they are now."""
    found: list[Instance] = []
    missing = set(ids)
    while missing:
        with connection.call():
            batch = await cursor.find(
                connection, "instances", {"_id": {"$in": list(missing)}, **mark}, hint="_id_"
            )
        async for portion in in_turns(batch.documents, _PORTION):
            found.extend(readable_ones(portion, connection.keys))
        if not batch.cursor:
            break
        # A reply ends at 16 MiB: the others come with the next one.
        missing.difference_update(document["_id"] for document in batch.documents)
    return found


def _as_claimed(instance: Instance) -> Instance:
    """The instance as the claim left it.

    Only an abort can have come in between: a retry after it takes the token away.
    """
    if instance.state is State.ABORTED:
        return replace(
            instance,
            state=State.RUNNING,
            finish_time=None,
            revision=instance.revision - 1,
            attempts=tuple(one for one in instance.attempts if one.number < instance.attempt),
        )
    return instance


async def reclaim(
    connection: Connection, node: str, running: Collection[tuple[str, int]]
) -> Sequence[Instance]:
    """As ``Store.reclaim`` promises it."""
    with connection.call():
        batch = await cursor.find(
            connection,
            "instances",
            {"state": "RUNNING", "node": node},
            projection={"attempt": 1},
            hint=queries.DUE_INDEX,
        )
    known = set(running)
    strays: list[str] = []
    by_attempt: defaultdict[int | None, list[str]] = defaultdict(list)
    for row in batch.documents:
        id, attempt = row["_id"], row.get("attempt")
        if (id, attempt) not in known:
            strays.append(id)
            by_attempt[attempt].append(id)
    if not strays:
        return []
    # Of these very attempts alone: an update that arrives after it was given up must not take
    # what has been claimed since.
    attempts = [{"attempt": attempt, "_id": {"$in": ids}} for attempt, ids in by_attempt.items()]
    token = new_token()
    with connection.call():
        await connection.instances.update_many(
            {
                "$and": [
                    {"_id": {"$in": strays}, "state": "RUNNING", "node": node, **COUNTABLE},
                    {"$or": attempts},
                ]
            },
            [
                {
                    "$set": {
                        "state": "PENDING",
                        "taken": token,
                        "revision": {"$add": ["$revision", 1]},
                        "uncounted_attempts": {
                            "$add": [{"$ifNull": ["$uncounted_attempts", 0]}, 1]
                        },
                        "attempts": histories.appended(
                            histories.of_running(end_time="$$NOW", error=CLAIM_LOST)
                        ),
                    }
                },
                {"$unset": "claim"},
            ],
            hint="_id_",
        )
    return await marked(connection, strays, {"taken": token})
