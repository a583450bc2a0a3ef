"""Tokens and the audit log in MongoDB.

A token's document has the names of ``Token``; ``_id`` is the id, and ``end_time`` says when it ceases to
be valid, for the TTL index. That of an entry has the names of ``AuditEntry``.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

import structlog
from pymongo import ReturnDocument
from pymongo.errors import BulkWriteError

from later_core.model.audit import AuditEntry, AuditFilter, AuditPage, first_id
from later_core.model.instance import NO_LABELS
from later_core.model.permission import Role
from later_core.model.quota import AS_SET, Quota, parse_create_rate
from later_core.model.token import Token
from later_core.ports.access import AccessStore
from later_core.stores.mongo import cursor
from later_core.stores.mongo.connection import CODEC, SCAN_SECONDS, Connection, Document
from later_core.stores.mongo.documents import label_of, to_instant
from later_core.stores.mongo.errors import DUPLICATE_KEY

logger = structlog.get_logger(__name__)


class MongoAccess(AccessStore):
    """One part of ``MongoStore``."""

    @property
    @abstractmethod
    def _connection(self) -> Connection: ...

    async def insert_token(self, token: Token) -> None:
        with self._connection.call():
            await self._connection.tokens.update_one(
                {"_id": token.id}, {"$setOnInsert": _token_document(token)}, upsert=True
            )

    async def get_tokens(self, ids: Sequence[str]) -> Sequence[Token | None]:
        with self._connection.call():
            batch = await cursor.find(
                self._connection, "tokens", {"_id": {"$in": sorted(set(ids))}}
            )
        found = {token.id: token for token in _readable_tokens(batch.documents)}
        return [found.get(id) for id in ids]

    async def list_tokens(self, *, after: str | None, limit: int) -> Sequence[Token]:
        query: Document = {"_id": {"$gte": ""} if after is None else {"$gt": after}}
        with self._connection.call():
            batch = await cursor.find(
                self._connection, "tokens", query, sort={"_id": 1}, limit=limit
            )
        return list(_readable_tokens(batch.documents))

    async def revoke_token(self, id: str, now: datetime) -> Token | None:
        first = {"$ifNull": ["$revoke_time", now]}
        with self._connection.call():
            document = await self._connection.tokens.with_options(
                codec_options=CODEC
            ).find_one_and_update(
                {"_id": id},
                [
                    {"$set": {"revoke_time": first}},
                    # An expiry that came before stays the end.
                    {"$set": {"end_time": {"$min": ["$revoke_time", "$expire_time"]}}},
                ],
                return_document=ReturnDocument.AFTER,
            )
        return next(_readable_tokens([document]), None) if document else None

    async def append_audit(self, entries: Sequence[AuditEntry]) -> None:
        if not entries:
            return
        with self._connection.call():
            try:
                await self._connection.audit.insert_many(
                    [_entry_document(entry) for entry in entries], ordered=False
                )
            except BulkWriteError as error:
                details = error.details or {}
                refused = details.get("writeErrors", [])
                others = [one for one in refused if one["code"] != DUPLICATE_KEY]
                if others or details.get("writeConcernErrors"):
                    raise

    async def list_audit(self, filter: AuditFilter, *, after: str | None, limit: int) -> AuditPage:
        # One more than the page holds tells whether another page follows.
        with self._connection.call(SCAN_SECONDS):
            batch = await cursor.find(
                self._connection,
                "audit",
                _audit_query(filter, after=after),
                sort={"_id": -1},
                limit=limit + 1,
                hint="_id_",
            )
        entries = [_entry(document) for document in batch.documents]
        page = entries[:limit]
        return AuditPage(page, page[-1].id if len(entries) > limit or batch.cursor else None)


def _audit_query(filter: AuditFilter, *, after: str | None) -> Document:
    # An id begins with the time, so that a range of time is a range of ids.
    ids: Document = {"$gte": "" if filter.start_time is None else first_id(filter.start_time)}
    bounds = [] if after is None else [after]
    if filter.end_time is not None:
        bounds.append(first_id(filter.end_time))
    if bounds:
        ids["$lt"] = min(bounds)
    query: Document = {"_id": ids}
    for name, value in (("principal", filter.principal), ("target", filter.target)):
        if value is not None:
            query[name] = value
    for name, values in (("method", filter.methods), ("outcome", filter.outcomes)):
        if values:
            query[name] = {"$in": sorted(values)}
    return query


def _token_document(token: Token) -> Document:
    document: Document = {
        "name": token.name,
        "roles": [role.value for role in token.roles],
        "tasks": list(token.tasks),
        "labels": [label_of(key, value) for key, value in token.labels.items()],
        "permissions": list(token.permissions),
        "principal": token.principal,
        "secret_hash": token.secret_hash,
        "create_time": token.create_time,
    }
    if token.quota.create_rate is not None:
        document["create_rate"] = str(token.quota.create_rate)
    if token.quota.max_pending is not None:
        document["max_pending"] = token.quota.max_pending
    if token.expire_time is not None:
        document["expire_time"] = document["end_time"] = token.expire_time
    if token.revoke_time is not None:
        document["revoke_time"] = document["end_time"] = token.revoke_time
    return document


def _token(document: Document) -> Token:
    get = document.get
    labels = document["labels"]
    return Token(
        id=document["_id"],
        name=document["name"],
        roles=tuple(Role(role) for role in document["roles"]),
        tasks=tuple(document["tasks"]),
        labels=dict(label.split("=", 1) for label in labels) if labels else NO_LABELS,
        permissions=tuple(document["permissions"]),
        principal=document["principal"],
        quota=_quota(document),
        secret_hash=bytes(document["secret_hash"]),
        create_time=to_instant(document["create_time"]),
        expire_time=_instant(get("expire_time")),
        revoke_time=_instant(get("revoke_time")),
    )


def _quota(document: Document) -> Quota:
    rate, most = document.get("create_rate"), document.get("max_pending")
    if rate is None and most is None:
        return AS_SET
    return Quota(create_rate=None if rate is None else parse_create_rate(rate), max_pending=most)


def _readable_tokens(documents: Iterable[Document]) -> Iterator[Token]:
    """The tokens among the documents; the others are logged, and let nobody in."""
    for document in documents:
        try:
            token = _token(document)
        except (KeyError, TypeError, ValueError, AttributeError) as wrong:
            detail = f"{type(wrong).__name__}: {wrong}"
        else:
            yield token
            continue
        logger.error("unreadable token", id=str(document.get("_id")), detail=detail)


def _entry_document(entry: AuditEntry) -> Document:
    return {
        "_id": entry.id,
        "time": entry.time,
        "principal": entry.principal,
        "method": entry.method,
        "target": entry.target,
        "outcome": entry.outcome,
        "peer": entry.peer,
        "count": entry.count,
    }


def _entry(document: Document) -> AuditEntry:
    return AuditEntry(
        id=str(document["_id"]),
        time=to_instant(document["time"]),
        principal=str(document["principal"]),
        method=str(document["method"]),
        target=str(document["target"]),
        outcome=str(document["outcome"]),
        peer=str(document["peer"]),
        count=int(document["count"]),
    )


def _instant(value: Any) -> datetime | None:
    return None if value is None else to_instant(value)
