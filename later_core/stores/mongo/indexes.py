"""Collections and indexes: few, since each one is paid on every insert.

``due`` carries everything that is read in order or counted: the pull of the window is answered from
it alone, a list merges one run of it for each state, counts and the search for running instances
walk it. A partial index of the pending ones beside another for lists cost 8 to 15 % of the inserts
and gained nothing.

``schedule`` is partial on the instances of schedules, so that others pay nothing for it: it counts and
lists those of one schedule, and tells which have not ended and which FAILED last. ``look`` is that
of the schedules at which a planner must look, in order of time; those that are paused or have ended
are not in it.

``raised`` is partial on the PENDING ones that have a priority, so that others pay nothing for it: a pull
takes the highest priority first from it, and would else have to walk a whole backlog to find it.

``retention`` is the TTL index. It is partial on the ended states, so that the server can remove
nothing that has not ended, whatever the age. The audit log has one of its own, and so have tokens that
are no longer valid.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from pymongo import IndexModel
from pymongo.errors import OperationFailure

from later_core.model.state import FINAL_STATES
from later_core.stores.mongo.connection import BUILD_SECONDS, Connection, Document
from later_core.stores.mongo.errors import NAMESPACE_EXISTS, code_of
from later_core.stores.mongo.queries import DUE_INDEX, LOOK_INDEX, RAISED_INDEX, SCHEDULE_INDEX

RETENTION_INDEX = "retention"

#: Longer than any process sleeps before it beats again: until then it is known to be dead.
_DEAD_NODES_KEPT = timedelta(days=30)

#: So that people can see whose token it was that an old entry of the log names.
_ENDED_TOKENS_KEPT = timedelta(days=30)

#: The server keeps it as a 32-bit number of seconds.
_LONGEST = 2**31 - 1

#: An option of the collection of instances: a change comes with the record as it was after it.
POST_IMAGES: Document = {"changeStreamPreAndPostImages": {"enabled": True}}

_DUE = IndexModel(
    [("state", 1), ("execution_time", 1), ("_id", 1), ("task", 1), ("bucket", 1)], name=DUE_INDEX
)

#: So long after its last slot was given back a key is forgotten.
_IDLE_KEYS_KEPT = timedelta(hours=1)

_HOLDERS = IndexModel([("holders.node", 1)], name="holders")

_SCHEDULE = IndexModel(
    [("schedule_id", 1), ("state", 1), ("execution_time", 1), ("_id", 1), ("finish_time", 1)],
    name=SCHEDULE_INDEX,
    partialFilterExpression={"schedule_id": {"$exists": True}},
)

_RAISED = IndexModel(
    [
        ("state", 1),
        ("priority", -1),
        ("execution_time", 1),
        ("_id", 1),
        ("task", 1),
        ("bucket", 1),
    ],
    name=RAISED_INDEX,
    partialFilterExpression={"state": "PENDING", "priority": {"$gt": 0}},
)

_LOOK = IndexModel(
    [("look_time", 1), ("_id", 1), ("bucket", 1)],
    name=LOOK_INDEX,
    partialFilterExpression={"look_time": {"$exists": True}},
)


#: The keys of each index that must be there, by collection and name.
NEEDED: Mapping[str, Mapping[str, Sequence[tuple[str, int]]]] = {
    "instances": {
        **{
            index.document["name"]: [*index.document["key"].items()]
            for index in (_DUE, _RAISED, _SCHEDULE)
        },
        RETENTION_INDEX: [("execution_time", 1)],
    },
    "schedules": {LOOK_INDEX: [*_LOOK.document["key"].items()]},
    "nodes": {"dead": [("dead_time", 1)]},
    "tokens": {"ended": [("end_time", 1)]},
    "audit": {RETENTION_INDEX: [("time", 1)]},
}


async def prepare(
    connection: Connection,
    *,
    retention: timedelta,
    audit_retention: timedelta = timedelta(days=90),
) -> None:
    """Make what is missing, and set the retention. Safe on several nodes at once.

    Raises:
        StoreUnavailable.

    """
    with connection.call(BUILD_SECONDS):
        await _prepare_instances(connection)
        await connection.instances.create_indexes([_DUE, _SCHEDULE, _RAISED])
        await connection.schedules.create_indexes([_LOOK])
        await _prepare_expiry(
            connection,
            "instances",
            key="execution_time",
            name=RETENTION_INDEX,
            seconds=_whole_seconds(retention),
            only={"state": {"$in": sorted(state.value for state in FINAL_STATES)}},
        )
        await _prepare_expiry(
            connection,
            "nodes",
            key="dead_time",
            name="dead",
            seconds=_whole_seconds(_DEAD_NODES_KEPT),
            only={"state": "DEAD"},
        )
        await connection.slots.create_indexes([_HOLDERS])
        await _prepare_expiry(
            connection,
            "slots",
            key="idle_time",
            name="idle",
            seconds=_whole_seconds(_IDLE_KEYS_KEPT),
            only={"idle_time": {"$exists": True}},
        )
        await _prepare_expiry(
            connection,
            "tokens",
            key="end_time",
            name="ended",
            seconds=_whole_seconds(_ENDED_TOKENS_KEPT),
            only={"end_time": {"$exists": True}},
        )
        await _prepare_expiry(
            connection,
            "audit",
            key="time",
            name=RETENTION_INDEX,
            seconds=_whole_seconds(audit_retention),
            only={"time": {"$exists": True}},
        )


async def _prepare_instances(connection: Connection) -> None:
    try:
        await connection.command({"create": "instances", **POST_IMAGES})
    except OperationFailure as error:
        if code_of(error) != NAMESPACE_EXISTS:
            raise
        # From a restored dump, say, which knows nothing of the option.
        await connection.command({"collMod": "instances", **POST_IMAGES})


async def _prepare_expiry(
    connection: Connection, collection: str, *, key: str, name: str, seconds: int, only: Document
) -> None:
    """A TTL index of this name, with this many seconds whatever it had before."""
    options: dict[str, Any] = {"expireAfterSeconds": seconds, "partialFilterExpression": only}
    known = await connection.database[collection].index_information()
    if name not in known:
        try:
            await connection.database[collection].create_indexes(
                [IndexModel([(key, 1)], name=name, **options)]
            )
        except OperationFailure:
            # Another node may have made it in between, with another retention.
            known = await connection.database[collection].index_information()
            if name not in known:
                raise
        else:
            return
    if known[name].get("expireAfterSeconds") != seconds:
        index = {"name": name, "expireAfterSeconds": seconds}
        await connection.command({"collMod": collection, "index": index})


def _whole_seconds(duration: timedelta) -> int:
    """Rounded up: rather too long than too short."""
    return min(-(-duration // timedelta(seconds=1)), _LONGEST)
