"""The client and its collections: every option that a promise of the store rests on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bson.codec_options import CodecOptions, DatetimeConversion
from motor.motor_asyncio import AsyncIOMotorClient, AsyncIOMotorCollection, AsyncIOMotorDatabase
from pymongo import ReadPreference
from pymongo.errors import ConfigurationError, InvalidName

from later_core.errors import SettingInvalid

Document = dict[str, Any]
Client = AsyncIOMotorClient[Document]
Database = AsyncIOMotorDatabase[Document]
Collection = AsyncIOMotorCollection[Document]

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
    "serverSelectionTimeoutMS": 3_000,
    "connectTimeoutMS": 3_000,
    "socketTimeoutMS": 10_000,
    "waitQueueTimeoutMS": 10_000,
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
    nodes: Collection
    meta: Collection

    async def command(self, command: Document, **options: Any) -> Document:
        """Run a command on the primary and answer its reply, in one hop to the driver's threads."""
        reply: Document = await self.database.command(
            command, read_preference=ReadPreference.PRIMARY, codec_options=CODEC, **options
        )
        return reply

    async def admin(self, command: Document) -> Document:
        """Run a command on the admin database of the primary."""
        reply: Document = await self.client.admin.command(
            command, read_preference=ReadPreference.PRIMARY, codec_options=CODEC
        )
        return reply


def connect(uri: str, database: str) -> Connection:
    """Make the client; it reaches out only at its first call.

    Raises:
        SettingInvalid: not a URI of MongoDB, or not a name that a database can have. The words of
            the driver are kept back: they may repeat a password of the URI.

    """
    try:
        client: Client = AsyncIOMotorClient(uri, **_OPTIONS)
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
    return Connection(client, chosen, chosen["instances"], chosen["nodes"], chosen["meta"])
