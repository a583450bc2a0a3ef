"""Reads for people: one instance, a page, counts."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from later_core.errors import EncryptionKeyMissing
from later_core.model.instance import Instance
from later_core.model.limits import RESPONSE_MAX_BYTES
from later_core.model.query import Counts, Filter, Page, PageKey
from later_core.model.scope import Scope
from later_core.model.state import State
from later_core.stores.mongo import cursor, queries
from later_core.stores.mongo.connection import SCAN_SECONDS, Connection, Document
from later_core.stores.mongo.documents import (
    UnreadableRecord,
    payload,
    readable,
    to_instance,
    to_instant,
)
from later_core.stores.mongo.key_ring import KeyRing
from later_core.stores.mongo.portion import Portion


@dataclass(slots=True)
class PageBuilder:
    """A page that fills up: with instances to a number, or with payload to its limit.

    ``place`` is behind the last record that was offered, readable or not.
    """

    keys: KeyRing
    limit: int
    place: tuple[datetime, str] | None
    instances: list[Instance]
    weight: int = 0
    locked: list[EncryptionKeyMissing] | None = None

    @property
    def is_full(self) -> bool:
        """Whether nothing more belongs on this page."""
        return len(self.instances) >= self.limit or self.weight >= RESPONSE_MAX_BYTES

    def offer(self, documents: deque[Document]) -> bool:
        """Take documents from the left until the page is full; True when some are left over."""
        while documents:
            if self.is_full:
                return True
            document = documents.popleft()
            self.place = place_of(document)
            instance = readable(document, self.keys, self.locked)
            if instance is not None:
                self.instances.append(instance)
                self.weight += len(instance.parameters) + len(instance.result)
        return False


def place_of(document: Document) -> tuple[datetime, str]:
    """Where a document stands in the order of all lists."""
    return to_instant(document["execution_time"]), document["_id"]


async def get(connection: Connection, id: str) -> Instance | None:
    """The instance, None where there is none (or none that can be read)."""
    with connection.call():
        batch = await cursor.find(connection, "instances", {"_id": id}, limit=1)
    return next((read(connection, document) for document in batch.documents), None)


def read(connection: Connection, document: Document) -> Instance | None:
    """The instance of a document that was asked for; None, and a line in the log, when it is none.

    Raises:
        EncryptionKeyMissing: it is encrypted with a key that is not here.

    """
    try:
        return to_instance(document, connection.keys)
    except UnreadableRecord:
        return readable(document, connection.keys)


async def list_page(
    connection: Connection, filter: Filter, portion: Portion, *, after: PageKey | None, limit: int
) -> Page:
    """A page as ``Store.list`` promises it; the portion is what the pages before it have shown."""
    start = (after.execution_time, after.id) if after else None
    page = PageBuilder(connection.keys, limit, start, [])
    while True:
        # One more than the page holds tells whether another page follows.
        asked = min(limit - len(page.instances) + 1, portion.size)
        with connection.call(SCAN_SECONDS):
            batch = await cursor.find(
                connection,
                "instances",
                queries.matching(filter, after=page.place),
                limit=asked,
                sort=queries.IN_ORDER,
                hint=queries.index_for(filter),
            )
        found = len(batch.documents)
        portion.learn(found, sum(map(payload, batch.documents)))
        if page.offer(deque(batch.documents)):
            return Page(page.instances, _key(page.place))
        if found < asked and not batch.cursor:
            return Page(page.instances, None)


def _key(place: tuple[datetime, str] | None) -> PageKey | None:
    return None if place is None else PageKey(*place)


async def counts(connection: Connection, installed: Collection[str], scope: Scope) -> Counts:
    """Counted from the index alone: per state without looking at an entry, per task by reading it.
    Only for a scope of labels the records are read.

    The figures are read one after the other, so that an instance that moves meanwhile may be in two
    of them, or in none.
    """
    by_state: dict[State, int] = {}
    confined: Document = {} if scope.is_everything else {"$and": queries.within(scope)}
    with connection.call(SCAN_SECONDS):
        for state in State:
            reply = await connection.command(
                {
                    "count": "instances",
                    "query": {"state": state.value, **confined},
                    "hint": queries.DUE_INDEX,
                    "readConcern": cursor.MAJORITY,
                }
            )
            by_state[state] = int(reply["n"])
        batch = await cursor.aggregate(
            connection,
            "instances",
            [
                {
                    "$match": {
                        "state": "PENDING",
                        "task": {"$nin": sorted(installed)},
                        **confined,
                    }
                },
                {"$group": {"_id": "$task", "count": {"$sum": 1}}},
            ],
            hint=queries.DUE_INDEX,
        )
    unresolved = {str(row["_id"]): int(row["count"]) for row in batch.documents}
    return Counts(by_state=by_state, unresolved=unresolved)
