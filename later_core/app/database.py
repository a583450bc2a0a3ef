"""The store of a node, from what the settings and the plugins say."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from later_core.app.encryption import encryption_keys
from later_core.errors import SettingInvalid
from later_core.ports.clock import Clock, SystemClock
from later_core.ports.observer import Observer
from later_core.ports.store import Store

if TYPE_CHECKING:
    from later_core.catalog import Catalog
    from later_core.settings import Settings
    from later_core.stores.mongo.rekeying import Rekeyed
    from later_core.stores.mongo.store import MongoStore


@asynccontextmanager
async def store_for(
    settings: Settings, catalog: Catalog, clock: Clock, observer: Observer | None
) -> AsyncIterator[Store]:
    """The store that a plugin brings, the MongoDB that the settings name, or the embedded one."""
    from later_core.stores.mongo.embedded import EmbeddedMongo
    from later_core.stores.mongo.store import MongoStore

    other = catalog.store(settings.plugins)
    if other is not None:
        yield other
        return

    keys = encryption_keys(settings)

    def mongo(uri: str) -> MongoStore:
        return MongoStore(
            uri=uri,
            database=settings.database,
            retention=settings.retention,
            clock=clock,
            audit_retention=settings.audit_retention,
            observer=observer,
            keys=keys,
        )

    if settings.mongodb_uri is not None:
        yield mongo(settings.mongodb_uri.get_secret_value())
        return
    async with EmbeddedMongo(data_dir=settings.data_dir, clock=clock) as embedded:
        yield mongo(embedded.uri)


async def rekey(
    settings: Settings, catalog: Catalog, *, tell: Callable[[int, int], None] | None = None
) -> Rekeyed:
    """Encrypt all that is stored with the newest key, while nodes serve or not. ``tell`` is told how many
    records have been examined, and how many there are.

    Raises:
        Misconfigured: there are no keys, or a plugin brings the store.
        StoreUnavailable: a part of it may be done.
    """
    from later_core.stores.mongo.store import MongoStore

    if settings.encryption_keys is None:
        raise SettingInvalid(
            "encryption_keys", "there is no key to encrypt with; later new-key makes one"
        )
    async with store_for(settings, catalog, SystemClock(), None) as store:
        if not isinstance(store, MongoStore):
            raise SettingInvalid("encryption_keys", "only what is in MongoDB is encrypted")
        async with store:
            return await store.rekey(tell)
