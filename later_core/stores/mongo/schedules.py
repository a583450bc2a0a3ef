"""Schedules in MongoDB, moved by compare-and-set, and what planners ask of their instances."""

from __future__ import annotations

import uuid
from abc import abstractmethod
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime

from pymongo import UpdateOne
from pymongo.errors import DuplicateKeyError

from later_core.errors import StoreUnavailable
from later_core.model.limits import RESPONSE_MAX_BYTES
from later_core.model.schedule import Schedule, ScheduleFilter
from later_core.model.state import State
from later_core.ports.schedules import (
    ACTIVE_MAX,
    FailedRun,
    LookKey,
    ScheduleStep,
    ScheduleStore,
)
from later_core.stores.mongo import cursor
from later_core.stores.mongo.connection import SCAN_SECONDS, Connection, Document
from later_core.stores.mongo.documents import label_of, to_instant
from later_core.stores.mongo.queries import LOOK_INDEX, SCHEDULE_INDEX, within
from later_core.stores.mongo.schedule_documents import (
    progress_fields,
    readable_schedules,
    to_schedule_document,
)

#: How often an id may be taken when it is inserted and gone when looked at.
_ROUNDS = 3


class MongoSchedules(ScheduleStore):
    """One half of ``MongoStore``; the other half has the instances."""

    @property
    @abstractmethod
    def _connection(self) -> Connection: ...

    async def insert_schedule(self, schedule: Schedule) -> Schedule:
        connection = self._connection
        for _ in range(_ROUNDS):
            with connection.call(), suppress(DuplicateKeyError):
                await connection.schedules.insert_one(
                    to_schedule_document(schedule, connection.keys)
                )
            # As it is stored: instants of rules may have been rounded.
            if stored := await self.get_schedules([schedule.id]):
                return stored[0]
        raise StoreUnavailable("the id was taken and gone again, or its record cannot be read")

    async def get_schedules(self, ids: Collection[str]) -> Sequence[Schedule]:
        found: list[Schedule] = []
        left = sorted(set(ids))
        while left:
            with self._connection.call():
                batch = await cursor.find(
                    self._connection, "schedules", {"_id": {"$in": left}}, sort={"_id": 1}
                )
            found += readable_schedules(batch.documents, self._connection.keys)
            if not batch.cursor:
                break
            # A reply ends at 16 MiB: the others come with the next one.
            left = [id for id in left if id > batch.documents[-1]["_id"]]
        return found

    async def list_schedules(
        self, filter: ScheduleFilter, *, after: str | None, limit: int
    ) -> tuple[Sequence[Schedule], str | None]:
        page: list[Schedule] = []
        weight = 0
        while True:
            # One more than the page holds tells whether another page follows.
            asked = limit - len(page) + 1
            with self._connection.call(SCAN_SECONDS):
                batch = await cursor.find(
                    self._connection,
                    "schedules",
                    _matching(filter, after=after),
                    sort={"_id": 1},
                    limit=asked,
                    hint="_id_",
                )
            for document in batch.documents:
                if len(page) == limit or weight >= RESPONSE_MAX_BYTES:
                    return page, after
                after = str(document["_id"])
                for schedule in readable_schedules([document], self._connection.keys):
                    page.append(schedule)
                    weight += len(schedule.spec.template.parameters)
            if len(batch.documents) < asked and not batch.cursor:
                return page, None

    async def change_schedule(self, before: Schedule, after: Schedule) -> bool:
        with self._connection.call():
            result = await self._connection.schedules.replace_one(
                _standing(before), to_schedule_document(after, self._connection.keys)
            )
        return result.matched_count == 1

    async def delete_schedule(self, before: Schedule) -> bool:
        with self._connection.call():
            result = await self._connection.schedules.delete_one(_standing(before))
        return result.deleted_count == 1

    # -- planning ----------------------------------------------------------------------------

    async def schedules_due(
        self,
        *,
        until: datetime,
        buckets: Collection[int] | None,
        after: LookKey | None,
        limit: int,
    ) -> Sequence[Schedule]:
        place = None if after is None else (after.look_time, after.id)
        while True:
            with self._connection.call():
                batch = await cursor.find(
                    self._connection,
                    "schedules",
                    looked_at(until=until, buckets=buckets, after=place),
                    sort={"look_time": 1, "_id": 1},
                    limit=limit,
                    hint=LOOK_INDEX,
                )
            schedules = list(readable_schedules(batch.documents, self._connection.keys))
            if schedules or not batch.documents:
                return schedules
            last = batch.documents[-1]
            place = (to_instant(last["look_time"]), last["_id"])

    async def advance_schedules(self, steps: Sequence[ScheduleStep]) -> Sequence[bool]:
        if not steps:
            return []
        call = uuid.uuid4().hex
        updates = [
            UpdateOne(_standing(step.before), _advancing(step, call), hint="_id_") for step in steps
        ]
        with self._connection.call():
            result = await self._connection.schedules.bulk_write(updates, ordered=False)
        if result.matched_count == len(steps):
            return [True] * len(steps)
        ids = [step.before.id for step in steps]
        with self._connection.call():
            batch = await cursor.find(
                self._connection,
                "schedules",
                {"_id": {"$in": ids}, "advanced": call},
                projection={"_id": 1},
            )
        advanced = {row["_id"] for row in batch.documents}
        return [id in advanced for id in ids]

    async def active_instances(self, schedules: Collection[str]) -> Mapping[str, Sequence[str]]:
        rows = await self._of_instances(
            schedules,
            [State.PENDING, State.RUNNING],
            {"_id": "$schedule_id", "ids": {"$firstN": {"input": "$_id", "n": ACTIVE_MAX}}},
        )
        return {row["_id"]: row["ids"] for row in rows}

    async def last_failures(self, schedules: Collection[str]) -> Mapping[str, FailedRun]:
        last = {"sortBy": {"finish_time": -1}, "output": ["$_id", "$finish_time"]}
        rows = await self._of_instances(
            schedules, [State.FAILED], {"_id": "$schedule_id", "last": {"$top": last}}
        )
        return {row["_id"]: FailedRun(row["last"][0], to_instant(row["last"][1])) for row in rows}

    async def schedule_counts(
        self, schedules: Collection[str]
    ) -> Mapping[str, Mapping[State, int]]:
        counts = {id: dict.fromkeys(State, 0) for id in schedules}
        rows = await self._of_instances(
            schedules, list(State), {"_id": ["$schedule_id", "$state"], "count": {"$sum": 1}}
        )
        for row in rows:
            schedule, state = row["_id"]
            counts[schedule][State(state)] = int(row["count"])
        return counts

    async def _of_instances(
        self, schedules: Collection[str], states: Sequence[State], group: Document
    ) -> Sequence[Document]:
        """The instances of these schedules in these states, grouped; answered by the index alone."""
        if not schedules:
            return []
        with self._connection.call(SCAN_SECONDS):
            batch = await cursor.aggregate(
                self._connection,
                "instances",
                of_schedules(schedules, states, group),
                hint=SCHEDULE_INDEX,
            )
        return batch.documents


def looked_at(
    *, until: datetime, buckets: Collection[int] | None, after: tuple[datetime, str] | None
) -> Document:
    """The schedules at which a planner must look until then, behind a place in their order."""
    query: Document = {"look_time": {"$lte": until}}
    if buckets is not None:
        query["bucket"] = {"$in": sorted(buckets)}
    if after is not None:
        time, id = after
        query["look_time"]["$gte"] = time
        query["$or"] = [{"look_time": {"$gt": time}}, {"_id": {"$gt": id}}]
    return query


def of_schedules(
    schedules: Collection[str], states: Sequence[State], group: Document
) -> list[Document]:
    """A pipeline over the instances of schedules that the index ``schedule`` answers."""
    return [
        {
            "$match": {
                "schedule_id": {"$in": sorted(schedules)},
                "state": {"$in": [state.value for state in states]},
            }
        },
        {"$group": group},
    ]


def _matching(filter: ScheduleFilter, *, after: str | None) -> Document:
    # An id that is no string could not be a place to go on from.
    query: Document = {"_id": {"$gte": ""} if after is None else {"$gt": after}}
    if filter.tasks:
        query["spec.template.task"] = {"$in": sorted(filter.tasks)}
    if filter.labels:
        labels = [label_of(key, value) for key, value in filter.labels.items()]
        query["spec.template.labels"] = {"$all": labels}
    if filter.is_paused is not None:
        query["is_paused"] = filter.is_paused
    if not filter.scope.is_everything:
        place = "spec.template"
        query["$and"] = within(filter.scope, task=f"{place}.task", labels=f"{place}.labels")
    return query


def _standing(before: Schedule) -> Document:
    """The schedule, while it stands where it was read."""
    return {
        "_id": before.id,
        "create_time": before.create_time,
        "revision": before.revision,
        "progress.step": before.progress.step,
    }


def _advancing(step: ScheduleStep, call: str) -> Document:
    changed = progress_fields(replace(step.before, progress=step.after))
    update: Document = {"$set": {**changed, "advanced": call}}
    if "look_time" not in changed:
        update["$unset"] = {"look_time": ""}
    return update
