"""The change stream as batches of events: every change, in order, exactly as it was.

The record after each change comes with the change (a post-image). Looked up later it might show a
later state: two quick changes would both show the last one.

The driver's own change stream hops to a thread for each event. Here the cursor is driven by hand: a
hop brings all that has happened, or an empty batch after a second.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass, field

from motor.motor_asyncio import AsyncIOMotorClientSession
from pymongo.errors import OperationFailure, PyMongoError

from later_core.errors import HistoryLost, ResumeTokenInvalid, StoreUnavailable
from later_core.model.event import Event, EventBatch, EventType
from later_core.model.limits import RESPONSE_MAX_BYTES
from later_core.model.state import State
from later_core.ports.turns import in_turns
from later_core.stores.mongo import cursor, positions
from later_core.stores.mongo.connection import Connection, Document
from later_core.stores.mongo.documents import payload, readable, to_instant
from later_core.stores.mongo.errors import history_error, is_outage
from later_core.stores.mongo.key_ring import KeyRing
from later_core.stores.mongo.portion import Portion

#: The most events of one read, and of the first one.
_READ_EVENTS = 1000
_FIRST_EVENTS = 2

#: The most events of one batch: each subscriber has a message for it.
_BATCH_EVENTS = 256

#: So many are decoded in one turn of the event loop, two thirds of a millisecond: between two of them it
#: does what else is due, such as to start instances.
_TURN_EVENTS = 32

#: Before the events of a read are told the next one is begun, unless they weigh more: two may be held.
_AHEAD_BYTES = RESPONSE_MAX_BYTES // 16

#: How long the server waits for news before it answers with a bookmark; at first just long enough
#: to read the history, so that who missed nothing is soon told so.
_WAIT_MS = 1000
_FIRST_WAIT_MS = 50

#: How long a stream that is no longer read may take to let go, in seconds.
_CLOSE_SECONDS = 2.0

#: Removal at the end of the retention is not a change, nor is encrypting anew; what else the stream
#: says (that the collection is gone) comes as the end of its cursor.
_CHANGES: Document = {
    "operationType": {"$in": ["insert", "update", "replace"]},
    "updateDescription.updatedFields.rekeyed": {"$exists": False},
}

#: By the fields that an update has set, so that the server need not look up the records of the
#: others, which are most: of an instance that succeeds two changes of three.
_TOLD = [State.PENDING.value, State.ABORTED.value]
_NEWS: Document = {
    "$or": [
        {"operationType": {"$in": ["insert", "replace"]}},
        {"updateDescription.updatedFields.state": {"$in": _TOLD}},
        {"updateDescription.updatedFields.execution_time": {"$exists": True}},
    ]
}

_FIELDS: Document = {"operationType": 1, "wallTime": 1, "fullDocument": 1}


def follow(connection: Connection, position: str | None) -> AsyncGenerator[EventBatch, None]:
    """As ``Store.follow`` promises it."""
    return _read(connection, position, _CHANGES)


def news(connection: Connection, position: str | None) -> AsyncGenerator[EventBatch, None]:
    """As ``Store.news`` promises it."""
    return _read(connection, position, _NEWS)


async def _read(
    connection: Connection, position: str | None, which: Document
) -> AsyncGenerator[EventBatch, None]:
    async with _open(connection, position, which) as stream:
        yield EventBatch((), stream.position)
        while True:
            async with aclosing(await stream.next()) as batches:
                async for batch in batches:
                    yield batch


@dataclass(slots=True)
class _Stream:
    """An open change stream; ``position`` is behind all that it has told."""

    connection: Connection
    session: AsyncIOMotorClientSession
    cursor: int
    position: str
    wait_ms: int = _FIRST_WAIT_MS
    #: The read after this one, which the server works at while what this one brought is told.
    coming: asyncio.Future[Document] | None = None
    portion: Portion = field(
        default_factory=lambda: Portion(first=_FIRST_EVENTS, most=_READ_EVENTS)
    )

    async def next(self) -> AsyncGenerator[EventBatch, None]:
        """What has happened since, decoded as it is taken; at least one batch, if only a bookmark.

        Raises:
            HistoryLost, StoreUnavailable.

        """
        coming, self.coming = self.coming or self._ask(), None
        try:
            batch = cursor.batch_of(await coming)
        except PyMongoError as error:
            self.cursor = 0
            raise history_error(error) from error
        self.wait_ms = _WAIT_MS
        self.cursor = batch.cursor
        if not batch.cursor:
            # Dropped or renamed: what comes after it is another history.
            raise HistoryLost
        self.position = positions.of_token(batch.details["postBatchResumeToken"])
        weight = sum(payload(document["fullDocument"]) for document in batch.documents)
        self.portion.learn(len(batch.documents), weight)
        if batch.documents and weight <= _AHEAD_BYTES:
            self.coming = self._ask()
        return _batches(batch.documents, self.position, self.connection.keys)

    def _ask(self) -> asyncio.Future[Document]:
        # No deadline of the driver here: it would replace the time that the server waits. The socket
        # has one.
        coming = cursor.get_more(
            self.connection,
            "instances",
            self.cursor,
            batch_size=self.portion.size,
            wait_ms=self.wait_ms,
            session=self.session,
        )
        coming.add_done_callback(_look_at)
        return coming

    async def close(self) -> None:
        """Let the server forget the cursor; a read that is under way ends by that too."""
        try:
            if self.cursor:
                with self.connection.call(_CLOSE_SECONDS):
                    await cursor.kill(self.connection, "instances", self.cursor)
            if self.coming:
                await asyncio.wait({self.coming}, timeout=_CLOSE_SECONDS)
        except StoreUnavailable:
            pass  # it forgets by itself, after ten idle minutes
        finally:
            await self.session.end_session()


def _look_at(coming: asyncio.Future[Document]) -> None:
    """A read whose stream is closed ends with an error that nobody asks for, and asyncio would tell."""
    if not coming.cancelled():
        coming.exception()


@asynccontextmanager
async def _open(
    connection: Connection, position: str | None, which: Document
) -> AsyncIterator[_Stream]:
    start = {} if position is None else positions.start_option(position)
    # The cursor lives in a session, which each of its reads must name.
    session = await connection.client.start_session(causal_consistency=False)
    stream = _Stream(connection, session, 0, position or "")
    try:
        with _opening(connection, position):
            batch = await cursor.aggregate(
                connection,
                "instances",
                [
                    {"$changeStream": {"fullDocument": "required", **start}},
                    {"$match": which},
                    {"$project": _FIELDS},
                ],
                batch_size=0,
                session=session,
            )
        stream.cursor = batch.cursor
        if position is None:
            stream.position = positions.of_token(batch.details["postBatchResumeToken"])
        elif positions.time_of(position).time > batch.reply["operationTime"].time:
            raise ResumeTokenInvalid
        yield stream
    finally:
        await stream.close()


@contextmanager
def _opening(connection: Connection, position: str | None) -> Iterator[None]:
    try:
        with connection.deadline():
            yield
    except PyMongoError as error:
        told = history_error(error)
        # The server knows many words for a token that it never gave out.
        refused = isinstance(error, OperationFailure) and not is_outage(error)
        if position is not None and refused and not isinstance(told, HistoryLost):
            raise ResumeTokenInvalid from error
        raise told from error


async def _batches(
    documents: Sequence[Document], position: str, keys: KeyRing
) -> AsyncGenerator[EventBatch, None]:
    """The events in batches of bounded weight and number; the last one ends at the position."""
    events: list[Event] = []
    weight = 0
    async for portion in in_turns(documents, _TURN_EVENTS):
        for document in portion:
            event = _event(document, keys)
            if event is None or event.instance is None:
                continue
            if weight >= RESPONSE_MAX_BYTES or len(events) >= _BATCH_EVENTS:
                yield EventBatch(events, events[-1].position)
                events, weight = [], 0
            events.append(event)
            weight += len(event.instance.parameters) + len(event.instance.result)
    yield EventBatch(events, position)


def _event(document: Document, keys: KeyRing) -> Event | None:
    instance = readable(document["fullDocument"], keys)
    if instance is None:
        return None
    is_new = document["operationType"] == "insert"
    return Event(
        type=EventType.CREATED if is_new else EventType.UPDATED,
        instance=instance,
        event_time=to_instant(document["wallTime"]),
        position=positions.of_token(document["_id"]),
    )
