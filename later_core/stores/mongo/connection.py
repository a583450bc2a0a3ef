"""The client and its collections: every option that a promise of the store rests on."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

import pymongo
from bson.codec_options import CodecOptions, DatetimeConversion
from motor.motor_asyncio import AsyncIOMotorClient, AsyncIOMotorCollection, AsyncIOMotorDatabase
from pymongo import ReadPreference
from pymongo.errors import ConfigurationError, InvalidName
from pymongo.monitoring import CommandListener

from later_core.errors import SettingInvalid
from later_core.stores.mongo.errors import in_our_words
from later_core.stores.mongo.key_ring import NO_KEYS, KeyRing

Document = dict[str, Any]
Client = AsyncIOMotorClient[Document]
Database = AsyncIOMotorDatabase[Document]
Collection = AsyncIOMotorCollection[Document]

#: The longest that a call may take in all, retries of the driver included, in seconds.
CALL_SECONDS = 10.0

#: The same for reads that may have to walk far: a filter that few match, counting everything.
SCAN_SECONDS = 30.0

#: The same for building an index over what is already there.
BUILD_SECONDS = 3600.0

#: And the longest that a call waits for a primary that was away when it began, in seconds.
AWAY_SECONDS = 3.0

#: Nothing that stands in the database may make a whole answer unreadable: a date that no datetime
#: can hold comes as another type, broken text with replacement characters. Dates come without a
#: zone (they are UTC), since attaching ours is cheaper than comparing with the driver's.
CODEC: CodecOptions[Document] = CodecOptions(
    tz_aware=False,
    datetime_conversion=DatetimeConversion.DATETIME_AUTO,
    unicode_decode_error_handler="replace",
)

#: Majority and journal for writes, primary and majority for reads, whatever the URI says.
_OPTIONS: dict[str, Any] = {
    "appname": "later",
    "w": "majority",
    "journal": True,
    "wTimeoutMS": 0,
    "readConcernLevel": "majority",
    "readPreference": "primary",
    "retryWrites": True,
    "retryReads": True,
    "serverSelectionTimeoutMS": int(AWAY_SECONDS * 1000),
    "connectTimeoutMS": 3_000,
    # How soon a server is seen again that sent us away and stayed up.
    "heartbeatFrequencyMS": 2_000,
    "socketTimeoutMS": int(CALL_SECONDS * 1000),
    "waitQueueTimeoutMS": int(CALL_SECONDS * 1000),
    "timeoutMS": None,
    "tz_aware": CODEC.tz_aware,
    "datetime_conversion": DatetimeConversion.DATETIME_AUTO.name,
    "unicode_decode_error_handler": CODEC.unicode_decode_error_handler,
}


@dataclass(frozen=True, slots=True)
class Connection:
    """One client, for the life of the store."""

    client: Client
    database: Database
    instances: Collection
    schedules: Collection
    nodes: Collection
    slots: Collection
    permits: Collection
    meta: Collection
    tokens: Collection
    audit: Collection
    keys: KeyRing = NO_KEYS

    @contextmanager
    def call(self, seconds: float = CALL_SECONDS) -> Iterator[None]:
        """Bound what is awaited inside, and speak of its errors in our words.

        Must not be held across a ``yield``.
        """
        with in_our_words(), self.deadline(seconds):
            yield

    @contextmanager
    def deadline(self, seconds: float = CALL_SECONDS) -> Iterator[None]:
        """Bound what is awaited inside, retries of the driver and waiting for a primary included.

        The deadline travels to the server too (maxTimeMS), so that an operation given up here does
        not go on there.
        """
        # Under a deadline the driver's own bound for finding a server does not count.
        is_there = self.client.delegate.topology_description.has_writable_server()
        with pymongo.timeout(seconds if is_there else min(seconds, AWAY_SECONDS)):
            yield

    async def command(self, command: Document, **options: Any) -> Document:
        """Run a command on the primary and answer its reply, in one hop to the driver's threads."""
        return await self.begin(command, **options)

    def begin(self, command: Document, **options: Any) -> asyncio.Future[Document]:
        """As ``command``, and on its way when this returns: motor's calls begin before they are awaited."""
        call = self.database.command(
            command, read_preference=ReadPreference.PRIMARY, codec_options=CODEC, **options
        )
        return cast("asyncio.Future[Document]", call)

    async def admin(self, command: Document) -> Document:
        """Run a command on the admin database of the primary."""
        reply: Document = await self.client.admin.command(
            command, read_preference=ReadPreference.PRIMARY, codec_options=CODEC
        )
        return reply


def connect(
    uri: str,
    database: str,
    *,
    listeners: Sequence[CommandListener] = (),
    keys: KeyRing = NO_KEYS,
) -> Connection:
    """Make the client; it reaches out only at its first call. Listeners are told of each command.

    Raises:
        SettingInvalid: not a URI of MongoDB, or not a name that a database can have. The words of
            the driver are kept back: they may repeat a password of the URI.

    """
    try:
        client: Client = AsyncIOMotorClient(uri, event_listeners=listeners, **_OPTIONS)
    except (ConfigurationError, ValueError, TypeError) as error:
        raise SettingInvalid(
            "mongodb_uri",
            f"not a usable MongoDB URI ({type(error).__name__});"
            " it looks like mongodb://user:password@host:27017/?replicaSet=rs0",
        ) from None
    try:
        chosen = client[database]
    except InvalidName as error:
        client.close()
        raise SettingInvalid("database", str(error)) from None
    return Connection(
        client=client,
        database=chosen,
        instances=chosen["instances"],
        schedules=chosen["schedules"],
        nodes=chosen["nodes"],
        slots=chosen["slots"],
        permits=chosen["permits"],
        meta=chosen["meta"],
        tokens=chosen["tokens"],
        audit=chosen["audit"],
        keys=keys,
    )
