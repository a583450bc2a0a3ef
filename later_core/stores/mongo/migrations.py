"""What a newer version changes in the data that an older one wrote: in order, once, while others serve.

A field that an older version did not write is no reason for a migration: where it is absent, its default is
read. To write such defaults would tell every subscriber of every instance. A migration is for what cannot
be read so: a field that means something else, a record that moves.

One step of a migration changes one batch and says where the next one begins. The record ``schema`` of
``meta`` holds the number of the last migration that is done and, of the one under way, how far it has come;
both move by compare-and-set. So nobody holds a lock: nodes that start at once may do the same batch twice,
and what one that died had done, the next one goes on from.

Hence the rules for a step. It changes only what still has the old form, so that a batch may be repeated,
even long afterwards by a node that was asleep. The version before goes on running meanwhile and must be
able to work on what was changed, and it may write the old form behind the step's back: the version that
brings a migration reads both forms. Only the one after it may stop doing so, having swept up what was left
by a migration of its own, whose ``oldest`` then shuts out the versions that know the old form alone.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import structlog

from later_core.errors import SchemaTooNew
from later_core.stores.mongo.connection import SCAN_SECONDS, Connection, Document

_log = structlog.get_logger(__name__)

#: The newest schema that this version knows. A database says which one a program must know at least.
SCHEMA_VERSION = 1

_SCHEMA_ID = "schema"

#: Where a batch begins: any value of BSON but null, which is the beginning of all.
Position = Any
Step = Callable[[Connection, Position | None], Awaitable[Position | None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """``number`` counts from 1, without gaps. ``what`` it does is for the log. ``step`` changes the batch
    that begins at a position, and answers that of the next one, None when there is none; it takes no longer
    than a read may. ``oldest`` is the schema that programs must know once it is done.
    """

    number: int
    what: str
    step: Step
    oldest: int = 1


#: All that were ever made, in order. None was needed so far: see the test that runs recorded data.
MIGRATIONS: Sequence[Migration] = ()


async def check_schema(connection: Connection) -> None:
    """Write the schema version into a new database; refuse a newer one than this version knows.

    Raises:
        SchemaTooNew, StoreUnavailable.

    """
    with connection.call():
        await connection.meta.update_one(
            {"_id": _SCHEMA_ID}, {"$setOnInsert": {"version": SCHEMA_VERSION}}, upsert=True
        )
    await _schema(connection)


async def migrate(connection: Connection, migrations: Sequence[Migration] = MIGRATIONS) -> None:
    """Do what is not done yet. Safe on several nodes at once; returns once all is done, by whomever.

    Raises:
        SchemaTooNew: another node has meanwhile gone further than this version can follow.
        StoreUnavailable: what was done is kept; the next call goes on from there.

    """
    while True:
        schema = await _schema(connection)
        done = int(schema.get("migrated") or 0)
        migration = next((one for one in migrations if one.number > done), None)
        if migration is None:
            return
        position = schema.get("position")
        if position is None:
            _log.info("migration begun", number=migration.number, what=migration.what)
        with connection.call(SCAN_SECONDS):
            following = await migration.step(connection, position)
        if await _moved_on(connection, schema, migration, following) and following is None:
            _log.info("migration done", number=migration.number, what=migration.what)


async def _schema(connection: Connection) -> Document:
    with connection.call():
        schema: Document = await connection.meta.find_one({"_id": _SCHEMA_ID}) or {}
    found = int(schema.get("version") or SCHEMA_VERSION)
    if found > SCHEMA_VERSION:
        raise SchemaTooNew(found, SCHEMA_VERSION)
    return schema


async def _moved_on(
    connection: Connection, before: Document, migration: Migration, following: Position | None
) -> bool:
    """Whether this call wrote that the batch is done; if not, another node has."""
    change: Document = {"$set": {"position": following}}
    if following is None:
        change = {
            "$set": {"migrated": migration.number},
            "$max": {"version": migration.oldest},
            "$unset": {"position": ""},
        }
    # Null stands for a field that is not there, too.
    as_read = {"migrated": before.get("migrated"), "position": before.get("position")}
    with connection.call():
        result = await connection.meta.update_one({"_id": _SCHEMA_ID, **as_read}, change)
    return bool(result.matched_count)
