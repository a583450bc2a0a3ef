"""Look at a MongoDB as an operator would, changing nothing: what is missing, and what to do about it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import timedelta

from later_core.errors import Misconfigured, StoreUnavailable
from later_core.model.duration import format_duration
from later_core.model.finding import Finding, fail, ok, warn
from later_core.ports.clock import Clock
from later_core.stores.mongo import cursor, database_time
from later_core.stores.mongo.connection import Connection, Document, connect
from later_core.stores.mongo.indexes import NEEDED, POST_IMAGES
from later_core.stores.mongo.migrations import SCHEMA_VERSION
from later_core.stores.mongo.requirements import check_server

#: A subscriber that was away for longer may have to read everything anew.
_SHORT_HISTORY = timedelta(hours=1)
#: Below this share of its size the oplog says nothing yet about how far back it reaches.
_OPLOG_IN_USE = 0.5
_DISK_WARN, _DISK_FAIL = 0.85, 0.95
_CLOCK = timedelta(seconds=1)
_RESTART = "restart one server: at its start it makes what is missing"


async def examine(uri: str, database: str, clock: Clock) -> Sequence[Finding]:
    """Every finding, in the order of what depends on what; the first that forbids all else ends it."""
    try:
        connection = connect(uri, database)
    except Misconfigured as error:
        return [fail("database", str(error), "correct the setting")]
    try:
        return [finding async for finding in _findings(connection, clock)]
    finally:
        connection.client.close()


async def _findings(connection: Connection, clock: Clock) -> AsyncIterator[Finding]:
    try:
        await check_server(connection, clock)
    except Misconfigured as error:
        sentence, _, remedy = str(error).partition(": ")
        yield fail("database", sentence, remedy or "see the page on MongoDB")
        return
    except StoreUnavailable as error:
        yield fail("database", error.detail, "start MongoDB, or correct LATER_MONGODB_URI")
        return
    looks: dict[str, Callable[[Connection, Clock], Awaitable[Finding]]] = {
        "database": _version,
        "members": _members,
        "schema": _schema,
        "indexes": _indexes,
        "history of changes": _post_images,
        "oplog": _oplog,
        "clock of the database": _clock_offset,
        "disk": _disk,
    }
    for check, look in looks.items():
        try:
            yield await look(connection, clock)
        except StoreUnavailable as error:
            yield warn(
                check,
                f"could not be looked at: {error.detail}",
                "give the user of the URI the role clusterMonitor, and read on the database local",
            )


async def _version(connection: Connection, _: Clock) -> Finding:
    with connection.call():
        build = await connection.admin({"buildInfo": 1})
        hello = await connection.admin({"hello": 1})
    kind = "sharded" if hello.get("msg") == "isdbgrid" else f"replica set {hello.get('setName')}"
    return ok("database", f"MongoDB {build['version']}, {kind}")


async def _members(connection: Connection, _: Clock) -> Finding:
    with connection.call():
        if (await connection.admin({"hello": 1})).get("msg") == "isdbgrid":
            return ok("members", "those of each shard are not looked at")
        members = (await connection.admin({"replSetGetStatus": 1}))["members"]
    healthy = [member for member in members if member.get("health") == 1]
    away = [str(member["name"]) for member in members if member.get("health") != 1]
    found = f"{len(healthy)} of {len(members)} answer"
    if len(members) < 3:
        return warn(
            "members",
            f"{found}: the set does not survive the loss of one",
            "for production, three members on three machines",
        )
    if away:
        return warn("members", f"{found}; away: {', '.join(away)}", "start what is away again")
    return ok("members", found)


async def _schema(connection: Connection, _: Clock) -> Finding:
    with connection.call():
        batch = await cursor.find(connection, "meta", {"_id": "schema"}, limit=1)
    if not batch.documents:
        name = connection.database.name
        return fail(
            "schema",
            f"no server has ever used the database {name!r}",
            "start later serve on it, or correct LATER_DATABASE",
        )
    version = batch.documents[0].get("version")
    if version != SCHEMA_VERSION:
        return fail(
            "schema",
            f"it has version {version}, and this program knows version {SCHEMA_VERSION}",
            "upgrade what is older",
        )
    return ok("schema", f"version {version}")


async def _indexes(connection: Connection, _: Clock) -> Finding:
    missing = []
    for collection, indexes in NEEDED.items():
        with connection.call():
            known = await connection.database[collection].index_information()
        missing += [
            f"{collection}.{name}"
            for name, keys in indexes.items()
            if list(known.get(name, {}).get("key", ())) != list(keys)
        ]
    if missing:
        return fail(
            "indexes", f"missing, or other than they must be: {', '.join(missing)}", _RESTART
        )
    return ok("indexes", f"all {sum(map(len, NEEDED.values()))} are there")


async def _post_images(connection: Connection, _: Clock) -> Finding:
    with connection.call():
        reply = await connection.command({"listCollections": 1, "filter": {"name": "instances"}})
    found = reply["cursor"]["firstBatch"]
    (name, wanted), *_rest = POST_IMAGES.items()
    if not found or found[0].get("options", {}).get(name) != wanted:
        return fail(
            "history of changes",
            "MongoDB does not keep what records were after a change: no watch can be served",
            _RESTART,
        )
    return ok("history of changes", "kept with the records as they were")


async def _oplog(connection: Connection, _: Clock) -> Finding:
    with connection.call():
        local = connection.client["local"]
        stats: Document = await local.command({"collStats": "oplog.rs"})
        ends = [
            await local["oplog.rs"].find_one({}, {"ts": 1}, sort=[("$natural", way)])
            for way in (1, -1)
        ]
    first, last = (end["ts"].time if end else 0 for end in ends)
    share = stats["size"] / max(1, stats["maxSize"])
    reach = timedelta(seconds=last - first)
    spelt = format_duration(reach)
    if share < _OPLOG_IN_USE:
        return ok("oplog", f"{share:.0%} of it is used so far, by the changes of {spelt}")
    if reach < _SHORT_HISTORY:
        return warn(
            "oplog",
            f"it reaches back {spelt}: a watch that was away for longer must read all anew (RESYNC)",
            "raise its size: db.adminCommand({replSetResizeOplog: 1, size: MEGABYTES})",
        )
    return ok("oplog", f"it reaches back {spelt}")


async def _clock_offset(connection: Connection, clock: Clock) -> Finding:
    there = await database_time.now(connection, clock)
    offset = clock.now() - there
    found = f"that of this machine is {abs(offset).total_seconds():.3f} s " + (
        "ahead of it" if offset > timedelta(0) else "behind it"
    )
    if abs(offset) > _CLOCK:
        return warn(
            "clock of the database",
            f"{found}; Later goes by the database's",
            "let NTP set both clocks",
        )
    return ok("clock of the database", found)


async def _disk(connection: Connection, _: Clock) -> Finding:
    with connection.call():
        stats = await connection.command({"dbStats": 1})
    used, total = stats.get("fsUsedSize", 0), stats.get("fsTotalSize", 0)
    if not total:
        return ok("disk", "MongoDB does not say how full it is")
    found = f"{used / total:.0%} of {total / 1e9:,.0f} GB are used"
    remedy = "make room, or shorten the retention: a full disk stops MongoDB"
    if used / total >= _DISK_FAIL:
        return fail("disk", found, remedy)
    return warn("disk", found, remedy) if used / total >= _DISK_WARN else ok("disk", found)
